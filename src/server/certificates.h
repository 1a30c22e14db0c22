/*-------------------------------------------------------------------------
 *
 * certificates.h
 *	  The certificate that this worker shows to clients.
 *
 * Siblings: certificates.c; ../net/tls.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SERVER_CERTIFICATES_H
#define PT_SERVER_CERTIFICATES_H

#include "kafka/listeners.h"
#include "net/tls.h"

extern void pt_certificates_load(bool tell);

/* NULL: there is none, and *hint says what to do. */
extern NetTls *pt_certificates_context(void);
extern const char *pt_certificates_problem(const char **hint);

extern NetTlsAsk pt_certificates_ask(KafkaSecurity security);

#endif							/* PT_SERVER_CERTIFICATES_H */
