#include "account/local.h"

#include "mail/address.h"

static bool
has_domain(const char *address, const char *domain)
{
	const char *its = address_domain(address);

	return its != NULL && strcasecmp(its, domain) == 0;
}

/* A domain that an account sends for is Microsoft's to deliver to. */
static bool
is_account_domain(const struct config *c, const char *domain)
{
	for (size_t i = 0; i < c->account_count; i++) {
		const struct account *a = &c->accounts[i];

		if (has_domain(a->mailbox, domain))
			return true;
		for (size_t j = 0; j < a->send_as.count; j++)
			if (has_domain(a->send_as.items[j], domain))
				return true;
	}
	return false;
}

/* "web1.contoso.com" or its first label. */
static bool
is_host(const char *host, const char *domain)
{
	size_t label = strcspn(host, ".");

	if (*host == '\0')
		return false;
	return strcasecmp(host, domain) == 0 ||
	       (strlen(domain) == label &&
		   strncasecmp(host, domain, label) == 0);
}

bool
local_is_domain(const struct config *c, const char *host, const char *domain)
{
	if (domain == NULL)
		return true;
	if (strcasecmp(domain, "localhost") == 0 ||
	    strcasecmp(domain, "localhost.localdomain") == 0)
		return true;
	if (is_account_domain(c, domain))
		return false;
	if (is_host(host, domain))
		return true;
	for (size_t i = 0; i < c->domains.count; i++)
		if (strcasecmp(c->domains.items[i], domain) == 0)
			return true;
	return false;
}

const char *
local_target(const struct config *c)
{
	const struct account *a = config_default_account(c);

	if (c->admin != NULL)
		return c->admin;
	return a != NULL ? a->mailbox : NULL;
}
