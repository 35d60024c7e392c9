/* The parts of 'outpost check': its steps (check.c), what lies on the disk
 * (check_files.c), what the token says of itself (check_claims.c), and how
 * findings are shown (check_report.c).
 *
 * A step looks at one thing and reports findings, each with what was found,
 * the server's own words, the likely cause and what to do; empty texts are left
 * out. It returns 0 when later steps may build on it, else -1.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "auth/oauth_response.h"
#include "base/buf.h"
#include "base/error.h"
#include "submit/submit.h"
#include "token/token.h"

struct outpost;

enum check_verdict {
	CHECK_OK,
	CHECK_SKIPPED,		/* senseless after an earlier step failed */
	CHECK_UNSEEN,		/* not looked at for lack of rights */
	CHECK_WARNING,
	CHECK_FAILED,
};

#define CHECK_TEXT_SIZE	ERROR_TEXT_SIZE
#define CHECK_DAY	86400	/* seconds */

struct finding {
	enum check_verdict verdict;
	char text[CHECK_TEXT_SIZE];
	char server[CHECK_TEXT_SIZE];
	char cause[CHECK_TEXT_SIZE];
	char hint[CHECK_TEXT_SIZE];
};

struct check {
	struct outpost *outpost;
	const struct account *account;
	const char *mailbox;		/* as named, or NULL */
	const char *send_to;		/* NULL: send nothing */
	const char *step;		/* the one that is running */
	struct submission submission;
	struct submit *submit;
	struct smtp_client *client;	/* the submit's */
	char host[256];			/* this one's name */
	struct token token;
	bool has_claims;
	struct oauth_claims claims;	/* of the token */
	char banner[CHECK_TEXT_SIZE];
	struct buf said;		/* the server's last reply */
	bool json;
	struct buf out;			/* the JSON */
	size_t found[CHECK_FAILED + 1];	/* how many, by verdict */
};

/* Owners and modes of the configuration and of what it names. */
void	check_files(struct check *);
/* The file of aliases, with the rights that the process has. */
void	check_aliases(struct check *);
/* A step: what of the token's claims may keep Exchange from taking it. */
int	check_claims(struct check *);
/* Exchange refused the token: which claim is the likely cause. */
void	check_explain_refusal(const struct check *, struct finding *);

void	check_begin(struct check *);
void	check_report(struct check *, const struct finding *);
/* The same for a finding without server, cause and hint. */
void	check_say(struct check *, enum check_verdict, const char *format, ...)
	    __attribute__((format(printf, 3, 4)));
/* Write a text of a finding; what does not fit is cut. */
void	check_put(char out[CHECK_TEXT_SIZE], const char *format, ...)
	    __attribute__((format(printf, 2, 3)));
/* Ends the report. The exit code: 0 all is well, 1 there are warnings or
 * unseen things, 2 something failed. */
int	check_end(struct check *);

#endif
