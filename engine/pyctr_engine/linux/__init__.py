"""Raw Linux: the only home of ctypes and system calls, one small typed function per call."""
