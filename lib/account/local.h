/* What is local to this host: which domains, and where mail for local users
 * goes (DESIGN section 6, "Recipients").
 *
 * Local is: no domain, localhost, this host's names, `domains`; never the
 * domain of an account or of a send_as. No DNS is asked.
 */
#ifndef LOCAL_H
#define LOCAL_H

#include <stdbool.h>

#include "account/config.h"

/* 'host' is this host's name, with or without domain; 'domain' may be NULL. */
bool	local_is_domain(const struct config *, const char *host,
	    const char *domain);
/* The address that mail for local users goes to: `admin`, else the default
 * account's mailbox; NULL when there is neither. */
const char *local_target(const struct config *);

#endif
