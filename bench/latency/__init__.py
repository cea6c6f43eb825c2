"""Two processes and the messages between them: how long one takes, how many get through, what waiting costs.

`suite` runs every contender of `contenders` in a pair of processes of its own (`pair`, `worker`) and gives rows;
`report` tells them as a table, `plot` as a picture.
"""
