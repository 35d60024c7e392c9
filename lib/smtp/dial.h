/* A TCP connection to a host by name, within a deadline.
 *
 * Names are looked up in a thread of its own, since getaddrinfo(3) knows no
 * deadline; a lookup that hangs is left behind. Addresses are tried as RFC
 * 8305 says: families in turn, the next one 250 ms after the last without
 * dropping that, at once when it fails; the first to connect wins. The
 * socket is non-blocking, close-on-exec, with TCP_NODELAY.
 *
 * Errors are EX_TEMPFAIL: 4.4.3 when the name cannot be looked up, 4.4.1 when
 * no address answers.
 */
#ifndef DIAL_H
#define DIAL_H

#include <stddef.h>
#include <sys/socket.h>

struct error;
struct waiter;

#define DIAL_ADDRESSES_MAX	16u
#define DIAL_STAGGER		0.250	/* seconds, RFC 8305 section 5 */

struct dial_address {
	struct sockaddr_storage address;
	socklen_t len;
};

#define DIAL_TEXT_SIZE		46u	/* of an address as text */

/* "203.0.113.7", "" for what is no IP address. Returns 'out'. */
char	*dial_text(const struct dial_address *, char out[DIAL_TEXT_SIZE]);

/* The addresses of a host (a name or an address): 0 and *count > 0, or -1. */
int	dial_look_up(const char *host, unsigned port, double deadline,
	    const struct waiter *, struct dial_address out[DIAL_ADDRESSES_MAX],
	    size_t *count, struct error *);

/* Reorder so that families take turns, beginning with that of the first,
 * each family in the order that it had (RFC 8305 section 4). */
void	dial_order(struct dial_address *, size_t count);

/* Connect to the addresses, in this order. A descriptor, or -1. */
int	dial_addresses(const struct dial_address *, size_t count,
	    const char *name, double deadline, const struct waiter *,
	    struct error *);

/* Connect to a host (a name or an address) and port. A descriptor, or -1. */
int	dial_host(const char *host, unsigned port, double deadline,
	    const struct waiter *, struct error *);

#endif
