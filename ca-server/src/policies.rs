//! The policy set in force: loaded from a directory, swapped atomically. A bad set keeps the good one, loudly.
