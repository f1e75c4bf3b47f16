"""A small catalogue and ratings of it."""

from __future__ import annotations

from collections.abc import Callable

from kgrec.stages.ingest import IngestSummary

Load = Callable[..., IngestSummary]
Command = Callable[..., tuple[int, str, str]]

FILMS = """movie_id,title,year,genres,director
1,Alien,1979,Horror|Sci-Fi,Ridley Scott
2,Heat,1995,Crime|Drama,Michael Mann
3,"Godfather, The",1972,Crime|Drama,Francis Ford Coppola
"""
RATINGS = """user_id,movie_id,rating,timestamp
ann,1,5,881250949
ann,2,3,881250950
bob,1,4,881250951
bob,3,2,
"""
