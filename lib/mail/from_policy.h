/* From and Sender as the account may use them (DESIGN section 6): Exchange
 * judges the header From after DATA and blocks mailboxes that repeat one they
 * have no right to, so it is put right before sending.
 *
 * A From that is the account or listed in send_as stays byte for byte (but a
 * name that strict servers refuse is put into quotes). Any other becomes the
 * account's address: the display name is kept; a bare local user is shown as
 * "root on web1", a foreign address without name as that address. The
 * original value goes to X-Original-From, and to Reply-To if there is none
 * and it is a real remote address that does without SMTPUTF8. Several mailboxes
 * or several From fields become one; all go to Reply-To. What cannot be parsed
 * is replaced likewise.
 * A Sender that is foreign becomes X-Original-Sender. Resent fields stay.
 * Doing it twice changes nothing more.
 */
#ifndef FROM_POLICY_H
#define FROM_POLICY_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct header;

struct from_policy {
	const char *account;		/* mailbox that sends */
	char *const *send_as;		/* addresses or patterns … */
	size_t send_as_count;		/* … of the account's send_as */
	bool reject;			/* foreign_from = reject */
	const char *host;		/* this host's name */
	/* Is that domain one of this host's? NULL: none is. */
	bool (*is_local)(void *arg, const char *domain);
	/* Did the server lately refuse that address as From (SendAsDenied)?
	 * NULL: none. Asked for those of send_as alone. */
	bool (*is_denied)(void *arg, const char *address);
	void *arg;			/* of both */
};

/* May this address stand in From, and in MAIL FROM? */
bool	from_policy_allows(const struct from_policy *, const char *address);

/* Apply it. With 'reject' a foreign From, but for users of this host, is
 * EX_NOPERM 5.7.1 and the header unchanged. */
int	from_policy_apply(const struct from_policy *, struct header *,
	    struct error *);

/* Whom a header that went out is from: the address of its one From; to be
 * freed. NULL where it has another number of mailboxes, or none that can be
 * read. */
char	*from_policy_address(const char *header, size_t len);

#endif
