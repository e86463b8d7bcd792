"""Attribution graphs as the reading half knows them: numpy arrays, without torch."""
