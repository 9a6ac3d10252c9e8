"""The page of a report: one HTML file that asks for no other.

Everything that is put in is escaped. The policy in its head forbids the
browser to load anything and to run scripts.
"""

from typing import Any

STYLE = """
:root { color-scheme: light; --ink: #1d2733; --soft: #5b6875;
  --line: #d9dfe5; --tint: #f4f6f8; --accent: #1f6fb2; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 74rem; padding: 1.5rem 1.2rem 4rem;
  color: var(--ink); background: #fff;
  font: 15px/1.5 system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .8rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .5rem; }
a { color: var(--accent); }
nav a { margin-right: 1rem; }
p { margin: .5rem 0; max-width: 62rem; }
.soft, figcaption, caption { color: var(--soft); font-size: .88rem; }
.notes { background: #fff6e0; border: 1px solid #ecd9a6; padding: .6rem 1rem;
  border-radius: 6px; margin: 1rem 0; overflow-wrap: anywhere; }
.notes ul { margin: .2rem 0; padding-left: 1.2rem; }
.facts { display: flex; flex-wrap: wrap; gap: .7rem; margin: 1rem 0; }
.facts div { background: var(--tint); border-radius: 6px;
  padding: .5rem .9rem; overflow-wrap: anywhere; }
.facts dt { color: var(--soft); font-size: .8rem; }
.facts dd { margin: 0; font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .4rem 0 1rem; }
caption { text-align: left; padding-bottom: .3rem; white-space: nowrap; }
th, td { padding: .28rem .8rem .28rem 0; border-bottom: 1px solid var(--line);
  text-align: right; font-variant-numeric: tabular-nums; vertical-align: top; }
th:first-child, td:first-child { text-align: left; }
tbody th { font-weight: 400; }
table.texts th, table.texts td { text-align: left; overflow-wrap: anywhere; }
.curves { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)); }
figure { margin: 0; }
figure img { width: 100%; height: auto; display: block; }
.samples figure { margin-bottom: 1.2rem; overflow-wrap: anywhere; }
.samples img { border: 1px solid var(--line); width: auto; max-width: 100%;
  min-width: min(100%, 40rem); }
pre { background: var(--tint); padding: .8rem; overflow-x: auto;
  font-size: .82rem; border-radius: 6px; }
code { font-size: .9em; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--accent); }
"""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
{%- macro grid(table, caption, kind='') %}
<div class="scroll"><table{% if kind %} class="{{ kind }}"{% endif %}>
<caption>{{ caption }}</caption>
<thead><tr>
{%- for title in table[0] %}<th scope="col">{{ title }}</th>{% endfor -%}
</tr></thead>
<tbody>
{%- for row in table[1:] %}
<tr><th scope="row">{{ row[0] }}</th>
{%- for cell in row[1:] %}<td>{{ cell }}</td>{% endfor -%}
</tr>
{%- endfor %}
</tbody></table></div>
{%- endmacro %}
{%- macro pictures(samples, measure, which) %}
{%- for sample in samples %}
<figure>
<img src="{{ sample.picture }}" alt="{{ which }} sample {{ loop.index }}: \
visible, infrared, truth and prediction of {{ sample.path }}">
<figcaption>{{ measure }} {{ '%.4g' % sample.score }}: \
<code>{{ sample.path }}</code></figcaption>
</figure>
{%- endfor %}
{%- endmacro %}
{%- macro curves_of(curves) %}
<div class="curves">
{%- for curve in curves %}
<figure><img src="{{ curve.picture }}" alt="{{ curve.text }}">
<figcaption>{{ curve.title }}</figcaption></figure>
{%- endfor %}
</div>
{%- endmacro %}
<header>
<h1>{{ title }}</h1>
<p class="soft">Run <code>{{ folder }}</code></p>
<nav aria-label="Sections">
{%- for name, text in sections %}<a href="#{{ name }}">{{ text }}</a>
{%- endfor %}</nav>
</header>
<main>
{%- if problems %}
<div class="notes" role="note"><strong>Mind</strong><ul>
{%- for problem in problems %}<li>{{ problem }}</li>{% endfor -%}
</ul></div>
{%- endif %}
<dl class="facts">
{%- for name, value in facts %}
<div><dt>{{ name }}</dt><dd>{{ value }}</dd></div>
{%- endfor %}
</dl>

<section id="curves"><h2>Training</h2>
{%- if curves %}{{ curves_of(curves) }}
{%- else %}<p>Nothing of a training was logged in this run.</p>{% endif %}
</section>

<section id="validation"><h2>Validation and test</h2>
{%- if validation_curves %}{{ curves_of(validation_curves) }}{% endif %}
{%- if results|length > 1 %}
<p class="soft">The best value is the largest, of errors the smallest. A dash:
there were no objects, or no number.</p>
{{ grid(results, 'Validation') }}
{%- else %}<p>No validation was logged in this run.</p>{% endif %}
{%- for caption, table in tests %}
{{ grid(table, caption) }}
{%- endfor %}
</section>

<section id="classes"><h2>Classes</h2>
{%- for caption, table in classes %}
{{ grid(table, caption) }}
{%- else %}
<p>The logs hold no table of classes. Segmentation prints one with every
validation; detection does with <code>val_evaluator.classwise=True</code>.</p>
{%- endfor %}
</section>

<section id="samples" class="samples"><h2>Best and worst samples</h2>
{%- if samples %}
<p>{{ samples.scored }} pairs of the test, each measured by itself with
{{ samples.measure }}{% if samples.unscored %}; {{ samples.unscored }} more
could not be measured, for want of objects{% endif %}. Checkpoint
<code>{{ checkpoint }}</code>. From left to right: visible, infrared, truth,
prediction; boxes on both modalities.</p>
<h3>Worst</h3>
{{ pictures(samples.worst, samples.measure, 'Worst') or 'None.' }}
<h3>Best</h3>
{{ pictures(samples.best, samples.measure, 'Best') or 'None.' }}
{%- else %}
<p>Samples are ranked if a checkpoint is given; the test set is run
through it:</p>
<pre>{{ samples_command }}</pre>
{%- endif %}
</section>

<section id="parameters"><h2>Parameters</h2>
{%- if parameters %}
{{ grid(parameters, parameters_caption) }}
<p class="soft">Operations:
<code>python -m mmivtuning params {{ config }}</code></p>
{%- else %}<p>{{ parameters_caption }}</p>{% endif %}
</section>

<section id="environment"><h2>Environment</h2>
{%- if environment|length > 1 %}
{{ grid(environment, 'As the run logged it when it started', 'texts') }}
{%- else %}<p>The log tells nothing of it.</p>{% endif %}
{%- if config_text %}
<details><summary>Config</summary><pre>{{ config_text }}</pre></details>
{%- endif %}
</section>

<section id="runs"><h2>Other runs in this folder</h2>
{%- if others|length > 1 %}
{{ grid(others, 'Another run is shown with --run NAME') }}
{%- else %}<p>There are none.</p>{% endif %}
</section>
</main>
<footer class="soft"><p>Written by mmivtuning {{ version }}.</p></footer>
</body>
</html>
"""


def render(**content: Any) -> str:
    """Fill in the page.

    Args:
        **content: What :data:`PAGE` names.

    Returns:
        str: HTML.
    """
    # A dependency of torch.
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(PAGE).render(
        style=Markup(STYLE), **content)
