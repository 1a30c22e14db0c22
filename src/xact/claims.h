/*-------------------------------------------------------------------------
 *
 * claims.h
 *	  How a listener gets its turn at an append lock that sessions wait for.
 *
 * claims.c says how.  A listener's attempt to append makes claims through
 * pt_append_lock, and ends with pt_claims_sweep.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_XACT_CLAIMS_H
#define PT_XACT_CLAIMS_H

#include "compat.h"

#include "storage/lock.h"

extern Size pt_claims_shmem_size(void);
extern void pt_claims_shmem_init(void);

/* The attempts of a listener. */
extern void pt_claims_sweep(void);
extern void pt_claims_give_up(void);
extern bool pt_claims_offered(void);

/* For lock.c. */
extern bool pt_claim_make(const LOCKTAG *tag);
extern void pt_claim_end(const LOCKTAG *tag);
extern bool pt_claims_foreign(const LOCKTAG *tag);
extern void pt_claims_released(const LOCKTAG *tag);
extern void pt_claims_let_pass(const LOCKTAG *tag);

#endif							/* PT_XACT_CLAIMS_H */
