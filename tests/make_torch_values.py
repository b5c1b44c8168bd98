"""Makes torch_values.json: what PyTorch 2.13.0 gives for optimizers, schedules, batch norm and state names.
Run it by hand where torch is installed; the tests read the file and never import torch."""

import json
from pathlib import Path

import torch
from torch import nn

torch.set_default_dtype(torch.float64)

OPTIMIZERS = {
    "SGD": [
        {"lr": 0.1},
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.05},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
    ],
    "Adam": [
        {"lr": 0.01},
        {"lr": 0.01, "betas": [0.8, 0.9], "eps": 1e-4, "weight_decay": 0.1},
        {"lr": 0.01, "amsgrad": True},
    ],
    "AdamW": [{"lr": 0.01}, {"lr": 0.01, "weight_decay": 0.2, "amsgrad": True}],
}
SCHEDULES = {
    "StepLR": [{"step_size": 3, "gamma": 0.5}],
    "MultiStepLR": [{"milestones": [2, 5], "gamma": 0.1}],
    "CosineAnnealingLR": [{"T_max": 5}, {"T_max": 6, "eta_min": 0.01}],
    "LinearLR": [{}, {"start_factor": 0.1, "total_iters": 4}],
    "OneCycleLR": [
        {"max_lr": 0.5, "total_steps": 12},
        {"max_lr": 0.5, "total_steps": 12, "anneal_strategy": "linear", "pct_start": 0.4},
        {"max_lr": 0.5, "epochs": 3, "steps_per_epoch": 4, "three_phase": True, "div_factor": 10.0},
        {"max_lr": 0.5, "total_steps": 12, "cycle_momentum": False},
    ],
}
START = [0.5, -1.0, 2.0, 0.25]
GRADIENTS = [[0.1, -0.2, 0.3, 0.0], [-0.4, 0.5, 0.6, 1e-3], [0.7, 0.8, -0.9, -2e-3], [0.05, 0.0, 1.5, 4e-3]]
STEPS = 11


def as_torch(settings):
    return {name: tuple(value) if name == "betas" else value for name, value in settings.items()}


def optimizer_values(kind, settings):
    p = nn.Parameter(torch.tensor(START))
    optimizer = getattr(torch.optim, kind)([p], **as_torch(settings))
    values = []
    for gradient in GRADIENTS:
        p.grad = torch.tensor(gradient)
        optimizer.step()
        values.append(p.tolist())
    return {"kind": kind, "settings": settings, "values": values}


def schedule_values(kind, settings):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.2, momentum=0.9)
    schedule = getattr(torch.optim.lr_scheduler, kind)(optimizer, **settings)
    return {"kind": kind, "settings": settings, **follow(optimizer, schedule)}


def follow(optimizer, schedule):
    rates, momenta = [], []
    for _ in range(STEPS + 1):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        schedule.step()
    return {"rates": rates, "momenta": momenta}


def warm_up_values():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.2, momentum=0.9)
    schedulers = torch.optim.lr_scheduler
    warm = schedulers.LinearLR(optimizer, start_factor=0.25, total_iters=4)
    cosine = schedulers.CosineAnnealingLR(optimizer, T_max=8)
    return follow(optimizer, schedulers.SequentialLR(optimizer, [warm, cosine], [4]))


def batch_norm_values(momentum):
    layer = nn.BatchNorm2d(2, momentum=momentum)
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(3, 2, 2, 2, generator=generator) for _ in range(3)]
    outputs = [layer(x).tolist() for x in batches]
    frozen = layer.eval()(batches[0])
    return {
        "momentum": momentum,
        "batches": [x.tolist() for x in batches],
        "outputs": outputs,
        "frozen": frozen.tolist(),
        "running_mean": layer.running_mean.tolist(),
        "running_var": layer.running_var.tolist(),
        "num_batches_tracked": int(layer.num_batches_tracked),
    }


def state_shapes():
    model = nn.Sequential(
        nn.Conv2d(3, 8, (3, 5), groups=1, bias=False),
        nn.BatchNorm2d(8),
        nn.Sequential(nn.ConvTranspose2d(8, 4, 2, groups=2), nn.Conv1d(4, 6, 3), nn.Conv3d(6, 6, 3, groups=3)),
        nn.BatchNorm1d(3, affine=False),
        nn.BatchNorm3d(3, track_running_stats=False),
        nn.Linear(5, 7),
    )
    return {name: list(value.shape) for name, value in model.state_dict().items()}


if __name__ == "__main__":
    values = {
        "torch": torch.__version__,
        "start": START,
        "gradients": GRADIENTS,
        "optimizers": [optimizer_values(kind, s) for kind, cases in OPTIMIZERS.items() for s in cases],
        "schedules": [schedule_values(kind, s) for kind, cases in SCHEDULES.items() for s in cases],
        "warm_up": warm_up_values(),
        "batch_norm": [batch_norm_values(0.1), batch_norm_values(None)],
        "state_shapes": state_shapes(),
    }
    text = json.dumps(values, indent=None, separators=(",", ":")).replace('},{"kind"', '},\n{"kind"')
    Path(__file__).with_name("torch_values.json").write_text(text + "\n")
