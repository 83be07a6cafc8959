/*
 * What every part of the PostgreSQL side shares.
 */
#ifndef M3DB_FDW_MODULE_H
#define M3DB_FDW_MODULE_H

#define M3DB_VERSION "1.0"		/* default_version of m3db_fdw.control */

#endif							/* M3DB_FDW_MODULE_H */
