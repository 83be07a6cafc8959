/*
 * Functions of our library, told by the C function behind them: whatever schema they are in and
 * whoever else has functions of their names.
 */
#ifndef M3DB_OWN_FUNCTION_H
#define M3DB_OWN_FUNCTION_H

/* The C function behind a function of SQL, or NULL if that is none of ours.  In the current
 * memory context. */
extern char *m3db_own_function(Oid function);

/* The same of an aggregate: of its transition function, unless its final function is
 * not ours. */
extern char *m3db_own_aggregate(Oid aggregate);

#endif							/* M3DB_OWN_FUNCTION_H */
