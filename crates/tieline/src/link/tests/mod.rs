//! Links and ports of one process, over real sockets.
