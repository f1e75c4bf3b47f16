// What a caller's statement is put into where the engine itself judges whether a statement writes:
// as a subquery that no row reaches, so that it is parsed and judged whole and never run.
// __STATEMENT__: the caller's statement, as it is
// returns: n
UNWIND [] AS kgrec_never
CALL {
__STATEMENT__
}
RETURN count(*) AS n
