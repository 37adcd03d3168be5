"""Small Lightning modules with nothing of this project in them, but the ids in front of the batch. Lightning takes seconds to import."""

import lightning.pytorch as lightning
import torch
from torch import nn


class Classifier(lightning.LightningModule):
    """Nothing of this project in it, but the ids in front of the batch."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Conv2d(1, 4, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
        self.network(torch.zeros(1, 1, 32, 32))

    def forward(self, images):
        return self.network(images)

    def training_step(self, batch, batch_idx):
        ids, images, labels = batch
        return nn.functional.cross_entropy(self(images), labels)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class AroundForward(Classifier):
    """Calls a submodule, and so never its own forward."""

    def training_step(self, batch, batch_idx):
        _, images, labels = batch
        return nn.functional.cross_entropy(self.network(images), labels)


class Telling(AroundForward):
    def training_step(self, batch, batch_idx):
        _, images, labels = batch
        logits = self.network(images)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}
