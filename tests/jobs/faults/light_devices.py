"""Devices of the light engine."""


def resolve(name):
    return "cpu"
