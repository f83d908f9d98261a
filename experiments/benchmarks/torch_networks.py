"""The paper's networks in PyTorch, written from their descriptions, not from ours.

Tests and benchmarks compare with them. Modules are named as in the files that people
have weights of: pytorch-cifar and mixup-cifar10 (PreAct ResNet), Veit (DenseNet),
torchvision and timm (ResNet, ResNeXt), GCommandsPytorch (speech), mixup's GAN script.
WideResNet is named as xternalz's WideResNet-pytorch.

Every network is a chain of `parts()`: the stem, then stage 1, stage 2, ...
"""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F


class Chain(nn.Module):
    """A network as a chain of stages."""

    def parts(self):
        """Returns the stem, stage 1, stage 2, ..."""
        raise NotImplementedError

    def forward(self, x):
        for part in self.parts():
            x = part(x)
        return x


def conv(inputs, outputs, size, stride=1, groups=1):
    return nn.Conv2d(
        inputs, outputs, size, stride, size // 2, groups=groups, bias=False
    )


def pooled(x):
    return x.flatten(2).mean(2)


class PreActBlock(nn.Module):
    """Two convolutions behind batch norm and ReLU."""

    def __init__(self, inputs, outputs, stride, raw, dropout):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, outputs, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv(outputs, outputs, 3)
        self.drop, self.raw = nn.Dropout(dropout), raw
        if inputs != outputs or stride != 1:
            self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride))

    def forward(self, x):
        active = F.relu(self.bn1(x))
        if hasattr(self, "shortcut"):
            past = self.shortcut(active)
        else:
            past = x if self.raw else active
        hidden = F.relu(self.bn2(self.conv1(active)))
        return self.conv2(self.drop(hidden)) + past


class PreActResNet(Chain):
    """Liu's, or the official variant."""

    def __init__(self, classes, depth, width, official, dropout=0.0):
        super().__init__()
        self.official = official
        self.conv1 = conv(3, width, 3)
        if official:
            self.bn1 = nn.BatchNorm2d(width)
        inputs = width
        for stage in range(4):
            blocks = []
            for block in range((depth - 2) // 8):
                stride = 2 if stage and not block else 1
                outputs = width << stage
                blocks.append(
                    PreActBlock(inputs, outputs, stride, not official, dropout)
                )
                inputs = outputs
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(inputs, classes)

    def stem(self, x):
        x = self.conv1(x)
        return F.relu(self.bn1(x)) if self.official else x

    def parts(self):
        layers = [self.layer1, self.layer2, self.layer3, self.layer4]
        return [self.stem, *layers, lambda x: self.linear(pooled(x))]


class WideBlock(nn.Module):
    """Two convolutions behind batch norm and ReLU, dropout between."""

    def __init__(self, inputs, outputs, stride, dropout):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, outputs, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv(outputs, outputs, 3)
        self.drop = nn.Dropout(dropout)
        if inputs != outputs:
            self.convShortcut = conv(inputs, outputs, 1, stride)

    def forward(self, x):
        first = F.relu(self.bn1(x))
        second = F.relu(self.bn2(self.conv1(first)))
        out = self.conv2(self.drop(second))
        if hasattr(self, "convShortcut"):
            return out + self.convShortcut(first)
        return out + x


class Group(nn.Module):
    """Layers under the name that files give them."""

    def __init__(self, layers):
        super().__init__()
        self.layer = nn.Sequential(*layers)

    def forward(self, x):
        return self.layer(x)


class WideResNet(Chain):
    """WRN-depth-width."""

    block1: Group
    block2: Group
    block3: Group

    def __init__(self, classes, depth, width, dropout=0.0):
        super().__init__()
        self.conv1 = conv(3, 16, 3)
        inputs = 16
        for stage, base in enumerate((16, 32, 64)):
            blocks = []
            for block in range((depth - 4) // 6):
                stride = 2 if stage and not block else 1
                blocks.append(WideBlock(inputs, base * width, stride, dropout))
                inputs = base * width
            setattr(self, f"block{stage + 1}", Group(blocks))
        self.bn1 = nn.BatchNorm2d(inputs)
        self.fc = nn.Linear(inputs, classes)

    def parts(self):
        return [
            self.conv1,
            self.block1,
            self.block2,
            lambda x: F.relu(self.bn1(self.block3(x))),
            lambda x: self.fc(pooled(x)),
        ]


class DenseLayer(nn.Module):
    """A bottleneck whose output is added to the channels."""

    def __init__(self, inputs, growth, dropout):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, 4 * growth, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(4 * growth), conv(4 * growth, growth, 3)
        self.drop1, self.drop2 = nn.Dropout(dropout), nn.Dropout(dropout)

    def forward(self, x):
        new = self.drop1(self.conv1(F.relu(self.bn1(x))))
        new = self.drop2(self.conv2(F.relu(self.bn2(new))))
        return torch.cat((x, new), 1)


class Transition(nn.Module):
    """Fewer channels, half the size."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, outputs, 1)

    def forward(self, x):
        return F.avg_pool2d(self.conv1(F.relu(self.bn1(x))), 2)


class DenseNet(Chain):
    """DenseNet-BC."""

    block1: Group
    block2: Group
    block3: Group
    trans1: Transition
    trans2: Transition

    def __init__(self, classes, depth, growth, dropout=0.0):
        super().__init__()
        channels = 2 * growth
        self.conv1 = conv(3, channels, 3)
        for stage in (1, 2, 3):
            layers = []
            for _ in range((depth - 4) // 6):
                layers.append(DenseLayer(channels, growth, dropout))
                channels += growth
            setattr(self, f"block{stage}", Group(layers))
            if stage < 3:
                setattr(self, f"trans{stage}", Transition(channels, channels // 2))
                channels //= 2
        self.bn1 = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels, classes)

    def parts(self):
        return [
            self.conv1,
            lambda x: self.trans1(self.block1(x)),
            lambda x: self.trans2(self.block2(x)),
            lambda x: F.relu(self.bn1(self.block3(x))),
            lambda x: self.fc(pooled(x)),
        ]


class Bottleneck(nn.Module):
    """1x1, 3x3 (grouped in ResNeXt), 1x1."""

    def __init__(self, inputs, inner, outputs, stride, groups):
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, inner, 1), nn.BatchNorm2d(inner)
        self.conv2 = conv(inner, inner, 3, stride, groups)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = conv(inner, outputs, 1), nn.BatchNorm2d(outputs)
        self.downsample = None
        if inputs != outputs or stride != 1:
            self.downsample = nn.Sequential(
                conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(Chain):
    """ResNet and ResNeXt for ImageNet."""

    def __init__(self, classes, blocks, width, groups=1, group_width=64):
        super().__init__()
        self.conv1, self.bn1 = conv(3, width, 7, 2), nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = width
        for stage, count in enumerate(blocks):
            planes, layers = width << stage, []
            for block in range(count):
                stride = 2 if stage and not block else 1
                inner = int(planes * group_width / 64) * groups
                layers.append(Bottleneck(inputs, inner, 4 * planes, stride, groups))
                inputs = 4 * planes
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        self.fc = nn.Linear(inputs, classes)

    def parts(self):
        layers = [self.layer1, self.layer2, self.layer3, self.layer4]
        return [
            lambda x: self.maxpool(F.relu(self.bn1(self.conv1(x)))),
            *layers,
            lambda x: self.fc(pooled(x)),
        ]


class SpeechLeNet(Chain):
    """Two convolutions, two dense layers."""

    def __init__(self, classes, width, hidden, flat, dropout=0.5):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, width, 5), nn.Conv2d(width, width, 5)
        self.conv2_drop, self.drop = nn.Dropout2d(dropout), nn.Dropout(dropout)
        self.fc1, self.fc2 = nn.Linear(flat, hidden), nn.Linear(hidden, classes)

    def second(self, x):
        return F.relu(F.max_pool2d(self.conv2_drop(self.conv2(x)), 2))

    def parts(self):
        return [
            lambda x: F.relu(F.max_pool2d(self.conv1(x), 2)),
            self.second,
            lambda x: self.drop(F.relu(self.fc1(x.flatten(1)))),
            self.fc2,
        ]


class SpeechVGG(Chain):
    """VGG-11 of one channel with batch norm."""

    def __init__(self, classes, width, hidden, flat):
        super().__init__()
        layers, inputs = [], 1
        for item in (1, "M", 2, "M", 4, 4, "M", 8, 8, "M", 8, 8, "M"):
            if item == "M":
                layers.append(nn.MaxPool2d(2, 2))
                continue
            outputs = width * item
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1)]
            layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
            inputs = outputs
        self.features = nn.Sequential(*layers, nn.AvgPool2d(1, 1))
        self.fc1, self.fc2 = nn.Linear(flat, hidden), nn.Linear(hidden, classes)

    def parts(self):
        ends = [0, 4, 8, 15, 22, 30]
        stages = [self.features[a:b] for a, b in pairwise(ends)]
        return [
            lambda x: x,
            *stages,
            lambda x: self.fc2(self.fc1(x.flatten(1))),
        ]


class Perceptron(Chain):
    """Dense layers with ReLU between."""

    def __init__(self, sizes):
        super().__init__()
        layers = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.net = nn.Sequential(*layers[:-1])

    def parts(self):
        linear = [self.net[i : i + 2] for i in range(0, len(self.net), 2)]
        return [lambda x: x.flatten(1), *linear]


def randomise(network, seed=0):
    """Gives every parameter and statistic a value that a mistake would show in."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if name.endswith("running_var") or (value.ndim == 1 and "weight" in name):
            value.uniform_(0.5, 1.5, generator=generator)
        elif value.ndim == 1:
            value.uniform_(-0.3, 0.3, generator=generator)
        elif value.ndim > 1:
            fan_in = value[0].numel()
            value.normal_(0.0, fan_in**-0.5, generator=generator)
    return network
