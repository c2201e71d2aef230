"""The house: an ordinary user's own namespaces, in which the engine runs as root of what is the user's.

One user, mount and network namespace for each run directory, kept open by a small process (`keeper`). Root in there
is the user outside, the ids from 1 on are those that /etc/subuid and /etc/subgid give the user. Every call of the
program enters it (`enter`) before it does anything else; the rest of the engine need not know. The network namespace
is entered only by what works on bridges and rules (`network`): what is fetched from registries comes by the host's.
"""
