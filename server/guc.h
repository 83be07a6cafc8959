/*
 * Settings that only server/ looks at; those of fdw/ are in server.h.
 */
#ifndef M3DB_GUC_H
#define M3DB_GUC_H

#include "storage/m3.h"

extern int	m3db_buffer_size_kb;	/* m3db.buffer_size */
extern char *m3db_data_directory;	/* m3db.data_directory */
extern int	m3db_commitlog_flush_interval;	/* ms */
extern int	m3db_commitlog_window;	/* s */
extern int	m3db_commitlog_queue_size_kb;
extern int	m3db_buffer_flush_threshold;	/* percent */
extern int	m3db_tick_interval;	/* s */
extern int	m3db_cold_flush_interval;	/* s */
extern int	m3db_snapshot_interval; /* s */
extern int	m3db_snapshot_min_log_size_kb;

/* Brings the settings an engine handle uses up to date with the GUCs. */
extern void m3db_settings_update(M3EngineSettings *settings);

#endif							/* M3DB_GUC_H */
