"""The visit log on disk: a SQLite file for each month, and the only SQL that knows how visits are kept.

visit_log   the files, and what is asked of several of them
taking_in   writing: what repeats is kept once, and counted as it arrives
searching   visits one by one, newest first or as they arrive
counting    how many, by hour, site or category, from what was counted as it arrived
spans       how many between two instants, by category or department, and what was heavy
moving_in   visits of before there were such files
"""
