/* Reads the configuration of msmtp(1), for those who move from it: which
 * accounts there are and what each says.
 *
 * Pure: text in, values out. A line is a command and its argument, perhaps
 * in double quotes; '#' begins a comment. "account NAME : BASE, ..." starts
 * with what "defaults" said so far and what its bases say. That there is a
 * password or passwordeval is noted, its text is not kept; no command of the
 * file is run.
 *
 * msmtprc_init(), msmtprc_parse() once, msmtprc_choose(), msmtprc_get(),
 * msmtprc_release(). What is got belongs to the struct.
 */
#ifndef MSMTPRC_H
#define MSMTPRC_H

#include <stddef.h>

struct error;

#define MSMTPRC_MAX (64 * 1024)		/* bytes in the file */
#define MSMTPRC_ACCOUNTS_MAX 64
#define MSMTPRC_COMMANDS_MAX 64		/* in one account */

struct msmtprc_account {
	char *name;
	struct msmtprc_command {
		char *name, *argument;	/* "" where there is none */
	} *commands;
	size_t count;
};

struct msmtprc {
	struct msmtprc_account *accounts;	/* the first is "defaults" */
	size_t count;
};

void	msmtprc_init(struct msmtprc *);
void	msmtprc_release(struct msmtprc *);
/* EX_DATAERR with file and line, the text of which is not quoted. */
int	msmtprc_parse(struct msmtprc *, const char *file, const char *text,
	    size_t len, struct error *);
/* The account whose user or from is 'mailbox'. With NULL the one named
 * "default", else the only one; else NULL. */
const struct msmtprc_account *msmtprc_choose(
    const struct msmtprc *, const char *mailbox);
/* The argument of the last such command; NULL where there is none. */
const char *msmtprc_get(const struct msmtprc_account *, const char *command);

#endif
