# LLVIP pairs without a folder for each split: data_root holds visible/
# infrared/ train.json val.json.
_base_ = './llvip_detection.py'
data_root = '{{$MMIVTUNING_DATA:data}}/llvip'
data_prefix = dict(img='visible', infrared='infrared')
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='train.json',
        data_prefix=data_prefix))
val_dataloader = dict(
    dataset=dict(
        data_root=data_root, ann_file='val.json', data_prefix=data_prefix))
test_dataloader = val_dataloader
