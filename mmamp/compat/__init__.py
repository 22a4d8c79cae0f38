"""Private names and version branches of the hosts, each in one place.

``torch.py`` and ``mmengine.py`` say of each what it is for and which releases
it holds for: who moves to a new release begins here. What a *subclass* of a
host's class needs of its base stays with the subclass:
``engine/optimizers/loss_scaler.py`` (``torch.amp.GradScaler``),
``amp_optim_wrapper.py`` (``mmengine.optim.OptimWrapper``),
``logging/scalar_history.py`` (``HistoryBuffer``),
``engine/hooks/checkpoint_hook.py`` (``CheckpointHook``) and
``models/layers/spectral_norm.py`` (torch's spectral norm).

What is put in a host's place for the whole process is in
``config/lookup.py`` (two functions of MMEngine's that find packages) and
``checkpoint/safe_load.py`` (torch's allow-list).
"""
