/* What the commands of outpost(8) share.
 *
 * A command is a row of the table in main.c and one function: it gets its own
 * arguments (argv[0] is its name), with the configuration loaded if the row
 * says so, and returns an exit code, or -1 with an error that main.c prints.
 */
#ifndef OUTPOST_H
#define OUTPOST_H

#include <stdbool.h>

#include "account/config.h"
#include "base/startup.h"

struct error;
struct token;

struct outpost {
	struct startup who;
	const char *config_option;	/* -C, or NULL */
	const char *libexec;		/* folder of the token program */
	bool system;			/* that program has a set-id bit */
	struct config config;
};

/* What 'outpost help COMMAND' tells besides its line. */
extern const char explain_help[];
extern const char init_help[];
extern const char login_help[];
extern const char check_help[];
extern const char status_help[];

int	check_run(struct outpost *, int argc, char **argv, struct error *);
int	init_run(struct outpost *, int argc, char **argv, struct error *);
int	explain_run(struct outpost *, int argc, char **argv, struct error *);
int	login_run(struct outpost *, int argc, char **argv, struct error *);
int	logout_run(struct outpost *, int argc, char **argv, struct error *);
int	status_run(struct outpost *, int argc, char **argv, struct error *);
int	token_run(struct outpost *, int argc, char **argv, struct error *);

/* Find the programs, and whether they are a system installation's. */
void	outpost_locate(struct outpost *);
/* Do that, and read the configuration: for commands whose row does not say
 * so. */
int	outpost_load(struct outpost *, struct error *);
/* The account of that mailbox, or for NULL the default one. EX_CONFIG names
 * the accounts there are. */
int	outpost_account(const struct outpost *, const char *mailbox,
	    const struct account **out, struct error *);
/* The only argument left after options, NULL when there is none. EX_USAGE. */
int	outpost_argument(int argc, char **argv, int first, const char **out,
	    struct error *);
/* Before secrets are touched: root becomes the user whose they are, others
 * must be that user; and nobody can look into the process any more. */
int	outpost_take_secrets(const struct outpost *, struct error *);
/* Before the network is used as submit would: root becomes the user that
 * submit runs as; others stay who they are; guarded as above. */
int	outpost_take_submit(const struct outpost *, struct error *);
/* An access token as submit gets it, from the cache or from the token program;
 * for who may run neither, through submit, which decides who may have it. */
int	outpost_token(const struct outpost *, const struct account *,
	    struct token *, struct error *);
/* See standard output written: EX_IOERR when any of it was not. */
int	outpost_flush(struct error *);

#endif
