"""Attribution graphs: how much each feature, error and token writes to each feature and target, with attention and norms frozen."""
