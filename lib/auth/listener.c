#include "auth/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "auth/page.h"
#include "base/error.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "smtp/wait.h"

#define FAMILIES 2
#define BACKLOG 32
#define READ_SIZE 4096
#define ANSWER_SECONDS 3.0

/* A connection reads its request, writes its answer, and is then read to its
 * end, since closing with bytes unread would cut the answer off. */
struct connection {
	int fd; /* -1: free */
	enum { READING, WRITING, ENDING } state;
	double opened;
	double deadline;
	struct buf in;
	struct buf out;
};

struct listener {
	int fds[FAMILIES]; /* -1: not this family */
	unsigned port;
	char uri[32];
	struct connection connections[LISTENER_CONNECTIONS];
	struct connection *held; /* brought the answer, or NULL */
};

static void
drop(struct connection *c)
{
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	buf_release(&c->in);
	buf_release(&c->out);
}

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t
loopback(union address *address, int family, unsigned port)
{
	if (family == AF_INET6) {
		address->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
			.sin6_port = htons((uint16_t)port),
			.sin6_addr = IN6ADDR_LOOPBACK_INIT };
		return sizeof(address->v6);
	}
	address->v4 = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	return sizeof(address->v4);
}

static int
listen_on(int family, unsigned port)
{
	const int on = 1;
	union address address;
	socklen_t len = loopback(&address, family, port);
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int why;

	if (fd == -1)
		return -1;
	if (family == AF_INET6)
		(void)setsockopt(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &address.any, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	why = errno;
	close(fd);
	errno = why;
	return -1;
}

static unsigned
port_of(int fd)
{
	union address address = { .v6 = { .sin6_port = 0 } };
	socklen_t len = sizeof(address);

	if (getsockname(fd, &address.any, &len) == -1)
		return 0;
	return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port
						       : address.v4.sin_port);
}

/* One port on both, or on the one family that there is. */
static int
listen_on_both(struct listener *l)
{
	for (int i = 0; i < LISTENER_TRIES; i++) {
		l->fds[0] = listen_on(AF_INET, 0);
		if (l->fds[0] != -1)
			l->port = port_of(l->fds[0]);
		l->fds[1] = listen_on(AF_INET6, l->port);
		if (l->fds[1] != -1) {
			l->port = port_of(l->fds[1]);
			return 0;
		}
		if (l->fds[0] == -1)
			return -1;
		if (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)
			return 0;
		if (errno != EADDRINUSE)
			return -1;
		close(l->fds[0]);
		l->fds[0] = -1;
	}
	return -1;
}

struct listener *
listener_new(struct error *err)
{
	struct listener *l = xcalloc(1, sizeof(*l));

	l->fds[0] = l->fds[1] = -1;
	for (size_t i = 0; i < LISTENER_CONNECTIONS; i++) {
		l->connections[i].fd = -1;
		buf_init(&l->connections[i].in, REDIRECT_HEAD_MAX + READ_SIZE);
		buf_init(&l->connections[i].out, PAGE_MAX * 2);
	}
	if (listen_on_both(l) == 0) {
		snprintf(
		    l->uri, sizeof(l->uri), "http://localhost:%u", l->port);
		return l;
	}
	error_set(err, EX_TEMPFAIL, "4.3.0",
	    "cannot listen on the loopback interface: %s", strerror(errno));
	error_hint(err, "sign in with --device or --paste instead");
	listener_free(l);
	return NULL;
}

void
listener_free(struct listener *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < LISTENER_CONNECTIONS; i++)
		drop(&l->connections[i]);
	for (size_t i = 0; i < FAMILIES; i++)
		if (l->fds[i] != -1)
			close(l->fds[i]);
	free(l);
}

const char *
listener_uri(const struct listener *l)
{
	return l->uri;
}

/* A free place; where there is none, that of the oldest. */
static struct connection *
find_place(struct listener *l)
{
	struct connection *oldest = &l->connections[0];

	for (size_t i = 0; i < LISTENER_CONNECTIONS; i++) {
		struct connection *c = &l->connections[i];

		if (c->fd == -1)
			return c;
		if (c->opened < oldest->opened)
			oldest = c;
	}
	drop(oldest);
	return oldest;
}

static void
take_connection(struct listener *l, int listening)
{
	int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct connection *c;

	if (fd == -1)
		return;
	c = find_place(l);
	c->fd = fd;
	c->state = READING;
	c->opened = file_now();
	c->deadline = c->opened + LISTENER_SECONDS;
}

static void
write_some(struct connection *c)
{
	while (c->out.len > 0) {
		ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);

		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n == -1) {
			drop(c);
			return;
		}
		buf_consume(&c->out, (size_t)n);
	}
	(void)shutdown(c->fd, SHUT_WR);
	c->state = ENDING;
}

static void
begin_answer(struct connection *c)
{
	c->state = WRITING;
	c->deadline = file_now() + ANSWER_SECONDS;
	buf_clear(&c->in);
	write_some(c);
}

/* Why a request is not the end of this sign-in. */
static struct page
page_for(enum redirect_verdict verdict)
{
	struct page page = { 400, false, "Not a sign-in",
		"Outpost could not read this request.", "" };

	switch (verdict) {
	case REDIRECT_STRANGER:
		page.status = 403;
		page.title = "Another sign-in";
		page.text = "This page does not belong to the sign-in that "
			    "Outpost is waiting for.";
		page.hint = "Open the address that 'outpost login' shows in "
			    "its terminal, and finish that sign-in.";
		break;
	case REDIRECT_NO_PAGE:
		page.status = 404;
		page.title = "No such page";
		page.text = "There is no such page here.";
		break;
	case REDIRECT_NO_METHOD:
		page.status = 405;
		break;
	case REDIRECT_TOO_LONG:
		page.status = 431;
		page.text = "The browser sent too much for this request.";
		page.hint = "Delete the browser's cookies for localhost, and "
			    "sign in again.";
		break;
	case REDIRECT_PARTIAL:
	case REDIRECT_ANSWER:
	case REDIRECT_MALFORMED:
		break;
	}
	return page;
}

/* True when this connection brought the answer. */
static bool
read_request(struct listener *l, struct connection *c, const char *state,
    struct redirect *out)
{
	const char *host = l->uri + strlen("http://");
	char *room = buf_room(&c->in, READ_SIZE);
	ssize_t n = room == NULL ? 0 : recv(c->fd, room, READ_SIZE, 0);
	enum redirect_verdict verdict;
	struct page page;

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		drop(c);
		return false;
	}
	buf_grown(&c->in, (size_t)n);
	verdict = redirect_request(out, c->in.data, c->in.len, host, state);
	if (verdict == REDIRECT_PARTIAL)
		return false;
	if (verdict == REDIRECT_ANSWER) {
		buf_clear(&c->in);
		l->held = c;
		return true;
	}
	page = page_for(verdict);
	page_answer(&c->out, &page);
	begin_answer(c);
	return false;
}

static void
read_to_end(struct connection *c)
{
	char bytes[READ_SIZE];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);

	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		drop(c);
}

/* One step of a connection that is ready. */
static bool
serve(struct listener *l, struct connection *c, const char *state,
    struct redirect *out)
{
	switch (c->state) {
	case READING:
		return read_request(l, c, state, out);
	case WRITING:
		write_some(c);
		return false;
	case ENDING:
		read_to_end(c);
		return false;
	}
	return false;
}

/* What to poll for, connections after the listening sockets (an fd of -1 is
 * passed over), and when the first of them has had its time. */
static double
prepare(struct listener *l, struct pollfd fds[FAMILIES + LISTENER_CONNECTIONS],
    double deadline)
{
	double now = file_now();

	for (size_t i = 0; i < FAMILIES; i++)
		fds[i] = (struct pollfd){ .fd = l->fds[i], .events = POLLIN };
	for (size_t i = 0; i < LISTENER_CONNECTIONS; i++) {
		struct connection *c = &l->connections[i];

		if (c->fd != -1 && c->deadline <= now)
			drop(c);
		if (c->fd != -1 && c->deadline < deadline)
			deadline = c->deadline;
		fds[FAMILIES + i] = (struct pollfd){ .fd = c->fd,
			.events = c->state == WRITING ? POLLOUT : POLLIN };
	}
	return deadline;
}

static bool
serve_all(struct listener *l, const struct pollfd *fds, const char *state,
    struct redirect *out)
{
	for (size_t i = 0; i < LISTENER_CONNECTIONS; i++)
		if (fds[FAMILIES + i].revents != 0 &&
		    serve(l, &l->connections[i], state, out))
			return true;
	for (size_t i = 0; i < FAMILIES; i++)
		if (fds[i].revents != 0)
			take_connection(l, l->fds[i]);
	return false;
}

int
listener_wait(struct listener *l, const char *state, double deadline,
    const struct waiter *waiter, struct redirect *out, struct error *err)
{
	struct pollfd fds[FAMILIES + LISTENER_CONNECTIONS];

	while (file_now() < deadline) {
		double until = prepare(l, fds, deadline);

		if (wait_poll(waiter, fds, FAMILIES + LISTENER_CONNECTIONS,
			until) == -1)
			return error_set(err, EX_TEMPFAIL, "4.3.0",
			    "cannot wait for the browser: %s", strerror(errno));
		if (serve_all(l, fds, state, out))
			return 0;
	}
	return error_set(
	    err, EX_TEMPFAIL, "4.7.0", "no browser came back in time");
}

void
listener_answer(struct listener *l, const struct buf *answer)
{
	struct connection *c = l->held;

	l->held = NULL;
	if (c == NULL || c->fd == -1)
		return;
	buf_add(&c->out, answer->data, answer->len);
	begin_answer(c);
	while (c->fd != -1 && file_now() < c->deadline) {
		struct pollfd fd = { .fd = c->fd,
			.events = c->state == WRITING ? POLLOUT : POLLIN };

		if (wait_poll(NULL, &fd, 1, c->deadline) <= 0)
			break;
		if (c->state == WRITING)
			write_some(c);
		else
			read_to_end(c);
	}
	drop(c);
}
