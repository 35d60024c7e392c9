/* The header made into what it must be before it is sent: what is missing is
 * added, what must not travel is removed (DESIGN section 6, RFC 5322 3.6).
 *
 * Removed always: Bcc, Resent-Bcc, Return-Path, in any spelling.
 * Added when missing (but not with 'add_nothing'): Date; Message-ID; From;
 * To, as 'no_recipient' says, when neither To nor Cc is left; MIME fields
 * where the body has 8-bit text and none says what it is. Resent-Date and
 * Resent-Message-ID are added to a resent block that lacks them.
 * Added always: a Received line on top, which names no recipient.
 * Names without domain in To, Cc, Reply-To … are shown as 'shown_as' says.
 * A message from nobody is marked as automatic, so that no machine answers.
 *
 * Pure: time, random text and names come in. The order of calls is
 * header_parse(), header_recipients() (before Bcc goes), choice of the account,
 * header_complete(), from_policy_apply(), header_format().
 */
#ifndef COMPLETE_H
#define COMPLETE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "mail/content.h"

struct buf;
struct error;
struct header;

#define COMPLETE_UNDISCLOSED	"undisclosed-recipients:;"
#define COMPLETE_HOPS_MAX	100u	/* Received fields */

struct completion {
	struct tm now;			/* local time */
	int utc_offset;			/* of it, in seconds */
	const char *unique;		/* text no other message has: time,
					 * pid, random; RFC 5322 atext only */
	const char *host;		/* this host, "web1.contoso.com" */
	const char *program;		/* "Outpost 1.0" */
	const char *account;		/* mailbox that sends */
	const char *login;		/* the caller's name; NULL: unknown */
	const char *full_name;		/* -F, else GECOS; NULL: none */
	const char *from;		/* address for a missing From: -f, else
					 * login; NULL: the account */
	long uid;
	unsigned hops_max;		/* -h; 0: COMPLETE_HOPS_MAX */
	bool add_nothing;		/* -G: only Received */
	bool null_sender;		/* the message is from nobody */
	const char *no_recipient;	/* To where it and Cc are missing;
					 * NULL: it stays missing */

	/* What the body turned out to be (struct content). */
	bool body_8bit;
	bool body_utf8;			/* and it is valid UTF-8 */
	bool body_quoted;		/* it went through CONTENT_QUOTE */

	/* The address that a local name (without domain) was mapped to, or
	 * NULL if that is none or unknown. May be NULL. */
	const char *(*shown_as)(void *arg, const char *local);
	void *shown_as_arg;
};

/* EX_UNAVAILABLE 5.4.6 when there are too many Received fields. */
int	header_complete(struct header *, const struct completion *,
	    struct error *);

/* How lines over 998 octets in this message's body must be treated: left
 * alone in signed and encrypted mail (also by DKIM); a single text part becomes
 * quoted-printable, or has soft breaks put in where it is that already; broken
 * in all others. */
enum content_lines header_content_lines(const struct header *);

/* "Tue, 24 Nov 2026 04:06:00 +0000", no locale. */
#define COMPLETE_DATE_SIZE 48
void	complete_date(char out[COMPLETE_DATE_SIZE], const struct tm *,
	    int utc_offset);

/* "root on web1": how a local user is shown where there is no address; the
 * host's name is cut at its first dot. To be freed. */
char	*complete_local_name(const char *local, const char *host);

#endif
