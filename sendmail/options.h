/* The command line of sendmail, as a value.
 *
 * Options are a table of letters (options.c); sendmail(8) lists the same. They
 * end at the first word that is none, so that a recipient can never be taken
 * for an option, and there are no long ones. No option opens a file, runs a
 * command, chooses the configuration or reaches past this process: those of
 * other sendmails that did (-X, -D, -O QueueDirectory …) are accepted and do
 * nothing.
 *
 * Strings point into argv. Wrong use is EX_USAGE, -C is EX_NOPERM.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"

struct error;

#define OPTIONS_PATTERNS_MAX	32

/* What is to be done. */
enum options_mode {
	MODE_MESSAGE,		/* read one message and send it */
	MODE_SMTP,		/* -bs: SMTP on standard input and output */
	MODE_NOTHING,		/* -bh, -bH: no host status is kept; exit 0 */
	MODE_VERSION,		/* -d0.1 */
	MODE_QUEUE,		/* -q: run the queue */
	MODE_MAILQ,		/* -bp: show it, by mailq */
	MODE_MAILQ_COUNT,	/* -bP: the number of messages in it */
	MODE_RULES,		/* -bt: refused, but for -d0.1 */
	MODE_ALIASES,		/* -bi, newaliases: check the aliases */
	MODE_VERIFY,		/* -bv: where does mail go? */
};

/* What becomes of a header that names nobody. */
enum options_no_recipient {
	NO_RECIPIENT_UNDISCLOSED,	/* To: undisclosed-recipients:; */
	NO_RECIPIENT_NONE,		/* nothing */
	NO_RECIPIENT_TO,		/* To names them, if none is secret */
};

struct options {
	enum options_mode mode;
	bool recipients_from_header;	/* -t */
	bool ignore_dots;		/* -i */
	bool verbose;			/* -v */
	bool add_nothing;		/* -G */
	bool no_aliases;		/* -n */
	bool queue_only;		/* -odq, -odd */
	enum options_no_recipient no_recipient; /* -O NoRecipientAction */
	bool mail_errors;		/* -oem, -oew, -oee */
	bool force;			/* -qf: also what is not due */
	unsigned interval;		/* -q5m: seconds between runs; 0: one */
	/* -qI, -qR, -qS: as pattern.h has them. */
	char *patterns[OPTIONS_PATTERNS_MAX];
	size_t pattern_count;
	const char *sender;		/* -f, -r: NULL when not given */
	const char *full_name;		/* -F */
	const char *notify;		/* -N */
	const char *ret;		/* -R */
	const char *envid;		/* -V */
	unsigned hops_max;		/* -h, 0 when not given */
	bool version;			/* -d0.1 */
	char tag[LOG_TAG_SIZE];		/* -L, cleaned; "" when not given */
	const char *ignored_file;	/* what -X or -D named, for the log */
	char **recipients;		/* the words after the options */
	size_t recipient_count;
};

int	options_parse(struct options *, int argc, char **argv,
	    struct error *);

#endif
