"""Study files: the shipped ones, and what is wrong with others."""

from pathlib import Path

import pytest
import yaml

from mmivtuning.evidence.study import CONDITIONS, read_study

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / 'configs/studies').glob('*.yml'))
SETTINGS = [(path, setting) for path in STUDIES
            for setting in yaml.safe_load(path.read_text())['settings']]


@pytest.mark.parametrize(('path', 'setting'), SETTINGS,
                         ids=[f'{p.stem}-{s}' for p, s in SETTINGS])
def test_shipped_studies(path, setting):
    study = read_study(path, setting)
    assert study.reference in study.methods
    for subject in study.subjects.values():
        assert Path(subject.config).is_file()
        assert subject.note
    if setting != 'smoke':
        assert len(study.seeds) >= 3


def test_the_full_study_has_what_it_promises():
    study = read_study(STUDIES[-1], 'full')
    assert {'iv', 'full', 'frozen', 'lora', 'adaptformer', 'vpt_deep',
            'bitfit', 'dual', 'full_visible', 'iv_visible',
            'iv_infrared'} <= set(study.methods)
    assert {'llvip', 'cwfid', 'msrs_pseudo', 'flir', 'roadscene', 'saliency',
            'scenes'} <= set(study.subjects)
    assert all(s.fractions == [0.25, 0.5, 1] for s in study.subjects.values())
    # Nobody may take it for accuracy.
    labels = study.subjects['msrs_pseudo'].measures
    assert 'agreement with LASNet' in labels[0].name


def test_a_setting_changes_its_data_sets(study_file, study_content):
    settings = dict(
        long=dict(
            seeds=[5],
            steps=30,
            methods=['iv', 'seen'],
            datasets=dict(tiny=dict(batch=3, size=[56, 70]))))
    study = read_study(study_file(settings=settings), 'long')
    subject = study.subjects['tiny']
    assert (subject.steps, subject.tuning_steps, subject.batch) == (30, 15, 3)
    assert list(study.methods) == ['iv', 'seen']
    assert study.methods['iv'].tests == list(CONDITIONS)
    # What it never sees cannot be taken away.
    assert study.methods['seen'].tests == ['pair']


def change(content, where, value):
    *parents, last = where.split('.')
    for key in parents:
        content = content[key]
    content[last] = value


@pytest.mark.parametrize(('where', 'value', 'message'), [
    ('settings.short.rates', ['1e-4'], 'write 1.0e-4'),
    ('settings.short.tuning_seeds', 4, 'tuning_seeds'),
    ('settings.short.tuning_seeds', 0, 'tuning_seeds'),
    ('settings.short.rates', [1e-4, 1e-4], 'twice'),
    ('settings.short.seeds', [], 'not empty'),
    ('settings.short.seeds', [0.5], 'an integer'),
    ('settings.short.steps', 0, 'steps must be'),
    ('settings.short.stepz', 3, r"has no \['stepz'\]"),
    ('settings.short.methods', ['lora'], 'does not have'),
    ('settings.short.keep_weights', 'some', 'keep_weights'),
    ('settings.short.fractions', [0], 'fractions'),
    ('datasets.tiny.task', 'depth', 'task must be'),
    ('datasets.tiny.folder', 'x', 'either folder or scenes'),
    ('datasets.tiny.size', [56], 'height, width'),
    ('methods.iv.backbone', {}, 'must say its tuning'),
    ('methods.iv.missing', 'thermal', 'missing must be'),
    ('methods.iv.tests', ['without infrared'], "begin with 'pair'"),
    ('reference', 'other', 'reference names'),
    ('contrasts', [['iv']], 'two methods'),
    ('claims', [dict(text='x', better='iv', than='y')], 'claims names'),
    ('contrasts', ['iv'], 'two methods'),
    ('claims', [dict(text='x', better='iv')], 'text, better and than'),
    ('claims', ['iv'], 'must be a mapping'),
    ('settings.short', None, 'settings must give'),
    ('methods', ['iv'], 'methods must give'),
    ('datasets.tiny', 3, 'datasets must give'),
    ('settings.short.datasets', dict(tiny=3), 'must give'),
    ('typo', 1, "has no"),
    ('title', '', 'lacks'),
    ('title', ['x'], 'title must be text'),
    ('about', 3, 'about must be text'),
    ('settings.short.rates', [float('inf')], 'rates'),
    ('settings.short.rates', [float('nan')], 'rates'),
    ('settings.short.datasets', 'tiny', 'must be a list'),
    ('settings.short.datasets', [['tiny']], 'does not have'),
    ('settings.short.fraction_methods', 3, 'must be a list'),
    ('settings.short.methods', [['iv']], 'does not have'),
    ('reference', ['iv'], 'reference names'),
    ('datasets.tiny.task', ['segmentation'], 'task must be'),
    ('datasets.tiny.config', 3, 'config must be text'),
    ('datasets.tiny.options', [1], 'options must be a mapping'),
    ('datasets.tiny.options', None, 'options must be a mapping'),
    ('datasets.tiny.scenes', 3, 'scenes must be a mapping'),
    ('datasets.tiny.note', 3, 'note must be text'),
    ('methods.iv.options', [1], 'options must be a mapping'),
    ('methods.iv.tests', ['pair', ['x']], "begin with 'pair'"),
    ('methods.a/b', dict(backbone=dict(tuning='iv')), 'are named by'),
    ('methods.', dict(backbone=dict(tuning='iv')), 'are named by'),
    ('claims', 3, 'must be a list'),
    ('claims', [dict(text='x', better='iv', than='iv')], 'two methods'),
    ('claims', [dict(text=1, better='iv', than='full')], 'must be text'),
    ('contrasts', 3, 'must be a list'),
    ('contrasts', [['iv', 'iv']], 'two methods'),
])
def test_what_does_not_fit_is_told(study_file, study_content, where, value,
                                   message):
    content = study_content()
    change(content, where, value)
    with pytest.raises(ValueError, match=message) as info:
        read_study(study_file(**content))
    assert 'study.yml' in str(info.value)


def test_files_that_do_not_exist(study_file, study_content, tmp_path):
    with pytest.raises(FileNotFoundError, match='no such study'):
        read_study(tmp_path / 'none.yml')
    content = study_content()
    content['datasets']['tiny']['config'] = 'none.py'
    with pytest.raises(FileNotFoundError, match='none.py'):
        read_study(study_file(**content))
    with pytest.raises(ValueError, match='no setting'):
        read_study(study_file(), 'longer')


def test_shares_are_of_methods_that_are_trained(study_file, study_content):
    content = study_content()
    content['settings']['short'].update(
        methods=['iv', 'full'], fraction_methods=['frozen'])
    with pytest.raises(ValueError, match="fraction_methods names.*'frozen'"):
        read_study(study_file(**content))


def test_a_key_that_comes_twice(study_file):
    path = study_file()
    text = path.read_text()
    path.write_text(text.replace('    steps: 4\n', '    steps: 4\n' * 2))
    with pytest.raises(ValueError, match=r"\['steps'\] come twice"):
        read_study(path)


def test_text_that_is_no_yaml(tmp_path):
    path = tmp_path / 'study.yml'
    path.write_text('a: [')
    with pytest.raises(ValueError, match='is no YAML'):
        read_study(path)
    path.write_text('just text')
    with pytest.raises(ValueError, match='must be a mapping'):
        read_study(path)
