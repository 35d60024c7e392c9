/* outpost.conf as a checked value (DESIGN: outpost.conf(5) lists every key).
 *
 * The file is INI, read by inih through a reader of ours that refuses what
 * inih would cut or misread. Every key is a row of one table: name, kind,
 * default. An unknown key, section or value, a repeated key, and a secret
 * written into the file are errors (EX_CONFIG) that name file and line and
 * the nearest known name, and never quote the value.
 *
 *	struct config config;
 *	config_init(&config);
 *	if (config_load(&config, path, &err) == -1) …
 *	config_release(&config);
 *
 * The config owns every string and account in it. Domains with letters beyond
 * ASCII are held as A-labels (idn.h), as those of messages are.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"

struct error;

#define CONFIG_FILE_MAX		(1024u * 1024)	/* bytes */
#define CONFIG_LINE_MAX		199u	/* bytes that inih keeps of a line */
#define CONFIG_SECTION_MAX	49u	/* bytes that it keeps of a name */
#define CONFIG_ACCOUNTS_MAX	1000u

enum config_auth {
	AUTH_LOGIN,		/* a person signs in; a refresh token is kept */
	AUTH_SECRET,		/* client credentials with a client secret */
	AUTH_CERTIFICATE,
	AUTH_MANAGED_IDENTITY,
	AUTH_WORKLOAD_IDENTITY,
};

/* Who gives this machine's managed identity its tokens. */
enum config_identity {
	IDENTITY_AUTO,		/* found out, see identity.h */
	IDENTITY_VM,		/* a virtual machine's metadata service, IMDS */
	IDENTITY_APP_SERVICE,	/* App Service, Functions, Container Apps */
	IDENTITY_MSI,		/* its form of 2017 */
	IDENTITY_ARC,		/* the agent of Azure Arc */
};

enum foreign_from {
	FOREIGN_FROM_REWRITE,
	FOREIGN_FROM_REJECT,
};

/* A list of words from a comma-separated value. */
struct config_list {
	char **items;
	size_t count;
};

struct account {
	char *mailbox;			/* the section's name, an address */
	char *cloud;			/* name of the preset */
	char *tenant;
	char *client_id;		/* NULL when not given */
	int auth;			/* enum config_auth */
	char *client_secret_file;	/* NULL … */
	char *certificate;
	char *key_file;
	char *federated_token_file;
	int identity;			/* enum config_identity */
	char *identity_endpoint;	/* http://… */
	char *identity_header_file;
	struct config_list senders;
	struct config_list send_as;
	int foreign_from;		/* enum foreign_from */
	struct config_list users;
	bool users_given;		/* the key stood in the file */
	struct config_list token_users;
	char *host;
	long long port;
	char *authority;		/* https://… without a final slash */
	char *scope;			/* as asked for at the token endpoint */
	char *ca_dir;			/* hashed; NULL when ca_file is used */
	char *ca_file;
	char *proxy;			/* "" for none */
	long long connections;
	long long rate_count;		/* messages … */
	long long rate_seconds;		/* … in so many seconds */
	long long daily;		/* recipients in 24 h */
	long long max_size;		/* bytes */
	long long max_recipients;	/* in a transaction */
	bool chunking;
	int line;			/* where the section begins */
};

struct config {
	char *path;			/* of the file, for messages */
	char *default_account;		/* address, NULL when not given */
	char *admin;			/* NULL when not given */
	char *aliases;
	struct config_list domains;
	int log_target;			/* enum log_target */
	char *log_file;			/* for LOG_TO_FILE */
	char *queue_dir;
	char *state_dir;
	long long patience;		/* seconds */
	long long give_up;
	long long keep_failed;
	struct account *accounts;
	size_t account_count;
};

void	config_init(struct config *);
void	config_release(struct config *);

/* Where the configuration is. 'option' (-C) or OUTPOST_CONFIG when they may
 * be used, the caller's own ~/.config/outpost/outpost.conf if there is one
 * (root's only where the system has none) and we are no service, else the
 * system's; where there is neither, the one that the caller can write. Returns
 * a string to be freed. */
char	*config_find(const char *option, bool service);
/* Where the caller's own belongs: the system's place for root, else the one in
 * the home folder. To be freed. */
char	*config_own_path(void);
#define CONFIG_SYSTEM_PATH "/etc/outpost/outpost.conf"

/* Read and check a file. EX_CONFIG, also when it cannot be read. For a
 * workload identity, keys that are missing come from the environment, where
 * its platform puts them; it is empty in a program with rights. */
int	config_load(struct config *, const char *path, struct error *);
/* The same for a text that is to be written there. */
int	config_take(struct config *, const char *path, const char *text,
	    size_t len, struct error *);
/* The same from memory; 'path' is for messages and default folders. */
int	config_parse(struct config *, const char *path, const char *text,
	    size_t len, struct error *);

/* The account of that mailbox (case-insensitive), or NULL. */
const struct account *config_account(const struct config *,
	    const char *mailbox);
/* Is this address, which has a domain, a personal mailbox of Microsoft's? */
bool	config_is_consumer(const char *mailbox);
/* The cloud whose preset has this SMTP host, or NULL. */
const char *config_cloud_of_host(const char *host);
/* `default`, or the only account, or NULL. */
const struct account *config_default_account(const struct config *);

#endif
