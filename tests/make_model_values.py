"""Makes model_values.json: what torchvision 0.29.2's networks (darknet53: timm 1.0.31's) of PyTorch 2.13.0 compute
with the weights of model_states.py. Run it by hand where they are installed; the tests read the file."""

import json
from pathlib import Path

import timm
import torch
import torchvision
from model_states import NETWORKS, fingerprint, inputs, sampled, seeded

ALL = [
    "alexnet",
    *(f"vgg{depth}{norm}" for norm in ("", "_bn") for depth in (11, 13, 16, 19)),
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    *(f"densenet{depth}" for depth in (121, 161, 169, 201)),
    "mobilenet_v2",
    "squeezenet1_1",
    "darknet53",
]


def build(name: str, classes: int = 1000) -> torch.nn.Module:
    with torch.device("meta"):
        if name == "darknet53":
            return timm.create_model(name, num_classes=classes)
        return getattr(torchvision.models, name)(num_classes=classes)


def loaded(name: str) -> torch.nn.Module:
    model = build(name, NETWORKS[name][1])
    state = {key: torch.from_numpy(seeded(key, tuple(value.shape))) for key, value in model.state_dict().items()}
    model.load_state_dict(state, assign=True)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model.eval()


def gradients(model: torch.nn.Module, name: str) -> dict[str, list[float]]:
    """The gradients of all weights in training mode, without dropout."""
    x, dy = (torch.from_numpy(array) for array in inputs(name))
    dtype = getattr(torch, NETWORKS[name][2])
    model.train().to(dtype)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    model(x.to(dtype)).backward(dy.to(dtype))
    return {key: sampled(parameter.grad.numpy()) for key, parameter in model.named_parameters()}


def main() -> None:
    shapes = {name: {key: tuple(value.shape) for key, value in build(name).state_dict().items()} for name in ALL}
    values = {"names": {name: fingerprint(entry) for name, entry in shapes.items()}, "results": {}, "gradients": {}}
    for name, (_, _, dtype) in NETWORKS.items():
        model = loaded(name)
        with torch.no_grad():
            values["results"][name] = model(torch.from_numpy(inputs(name)[0])).tolist()
        if dtype:
            rounded = gradients(model, name)
            values["gradients"][name] = {key: [float(f"{v:.9g}") for v in entry] for key, entry in rounded.items()}
    Path(__file__).with_name("model_values.json").write_text(json.dumps(values, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
