"""What operators are made of, one folder an idea: functions, crews, fans, several, waits, crossings, tasks.

What lives here: how it works. What must not: what users call and the words for it (operators/), which is thin.
"""
