/*-------------------------------------------------------------------------
 *
 * safe_path.h
 *	  The search_path for code of users that runs with the rights of a role.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SAFE_PATH_H
#define PT_SAFE_PATH_H

#include "postgres.h"

extern int	pt_safe_path_enter(Oid role);

#endif							/* PT_SAFE_PATH_H */
