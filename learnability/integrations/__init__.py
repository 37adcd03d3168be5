"""Somebody else's training, recorded: a Recorder for any loop, callbacks for Lightning and for Transformers' Trainer.

recorder       Recorder: two lines in any PyTorch loop; arrays of other frameworks too
notes          what a look has seen so far, on the device; what it comes to at its end
ranks          several processes of one training: what each has seen, brought together
ids            with_ids: a data set that also yields which sample it gives
trackers       scalars of our own runs for TensorBoard and MLflow
lightning      RecordSamples, a callback of Lightning
transformers   RecordSamples, a callback of Transformers' Trainer
"""
