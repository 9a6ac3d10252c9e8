# RoadScene: video frames of FLIR, every pair of another size; its boxes are
# FLIR-aligned's published ones, mapped into these crops. data_root holds
# visible/ infrared/ train.json val.json.
_base_ = './flir_detection.py'
dataset_type = 'mmivtuning.PairedDetDataset'
data_root = '{{$MMIVTUNING_DATA:data}}/roadscene'
metainfo = dict(
    classes=('person', 'car', 'bicycle'),
    palette=[(220, 20, 60), (0, 0, 142), (119, 11, 32)])
# R, G, B (ImageNet), infrared (of 148 frames).
mean = [123.675, 116.28, 103.53, 130.7]
std = [58.395, 57.12, 57.375, 58.8]
data_prefix = dict(img='visible', infrared='infrared')
train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='train.json',
        data_prefix=data_prefix))
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='val.json',
        data_prefix=data_prefix))
test_dataloader = val_dataloader
