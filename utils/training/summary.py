"""What a training run is about to do, for a person."""
from utils.training.session import Session


def summary(session: Session) -> str:
    """Network, data, steps and epochs ahead, augmentation, and what of the network starts elsewhere or does not learn."""
    if not session.epochs_ahead:
        return f"run {session.name} already has its {session.epochs} epochs: raise --epochs to train on"
    counted, args = list(session.model.parameters()), session.args
    lines = [f"run {session.name}: {session.architecture} ({sum(p.numel() for p in counted):,} weights) on {session.device}, "
             f"{session.train.info['corpus']['name']}: {len(session.train)} train and {len(session.dev)} dev utterances, "
             f"{session.steps_per_epoch} steps of {session.recipe['batch_size']} per epoch, epochs {session.epochs_done + 1} to "
             f"{session.epochs}", session.crops.augmentation(0).describe()]
    if session.start:
        lines.append(f"starts from {args['init_from']}: {session.start['origin']}")
        if session.architecture == "hybrid":
            lines.append("its AASIST is kept as it is; the linear layer is fitted anew, to this data alone")
    if args["freeze"]:
        lines.append(f"frozen: {args['freeze']}; {sum(p.numel() for p in counted if p.requires_grad):,} weights learn")
    if session.teacher:
        lines.append(f"teacher: {args['teacher']}")
    if session.group.ranks.size > 1:
        lines.append(f"{session.group.ranks.size} processes share each batch")
    return "\n".join(lines)
