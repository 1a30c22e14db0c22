/*-------------------------------------------------------------------------
 *
 * points.c
 *	  Makes processes of a server stand still at named places, for tests.
 *
 * A module for shared_preload_libraries, behind pgtopic; ../../src/stop_point.h
 * says what the places are.  The setting test.points is a directory.  The
 * first process that comes to the point NAME while there is a file of that
 * name renames it to NAME@PID, and stands as long as that is there.  Others
 * go on.  The first one that comes there while there is NAME! removes it, and
 * gets an ERROR.  points.py makes and removes the files.
 *
 * Who stands ends with the postmaster, as it would at its next wait; else it
 * takes nothing in, neither signals nor latches.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "stop_point.h"

#define POLL_US		1000

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

static char *directory;

static void
stand(const char *name)
{
	char		wanted[MAXPGPATH];
	char		taken[MAXPGPATH];
	char		failing[MAXPGPATH];
	int			save_errno = errno;

	snprintf(wanted, sizeof(wanted), "%s/%s", directory, name);
	snprintf(failing, sizeof(failing), "%s!", wanted);
	if (unlink(failing) == 0)
		ereport(ERROR, (errmsg("a test lets \"%s\" fail", name)));
	snprintf(taken, sizeof(taken), "%s@%d", wanted, MyProcPid);
	if (access(wanted, F_OK) == 0 && rename(wanted, taken) == 0)
	{
		while (access(taken, F_OK) == 0)
		{
			if (getppid() != PostmasterPid)
				_exit(2);
			usleep(POLL_US);
		}
	}
	errno = save_errno;
}

void
_PG_init(void)
{
	DefineCustomStringVariable("test.points", "Directory of the files that name stop points.", NULL,
							   &directory, "", PGC_POSTMASTER, 0, NULL, NULL, NULL);
	*find_rendezvous_variable(PT_STOP_POINTS) = (void *) stand;
}
