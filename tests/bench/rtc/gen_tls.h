/* Copyright (c) 2026, the collab.rtc authors
 * GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How gen.c reaches the server: plain TCP, or TLS when it was compiled with -DWITH_TLS and was given -T.
 * net_send and net_recv answer as send(2) and recv(2) do on a non-blocking socket. Certificates are not verified: this
 * is a load generator on one machine. Without WITH_TLS only system calls are left, so plain figures cost nothing. */
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>

static SSL_CTX *tls_context;
static char tls_name[100]; /* version and cipher that were agreed on */

/* From here on connections speak TLS 1.2 or later; so many bytes are read from the socket at once. */
static void net_use_tls(size_t read_ahead) {
  signal(SIGPIPE, SIG_IGN); /* SSL_write writes without MSG_NOSIGNAL */
  tls_context = SSL_CTX_new(TLS_client_method());
  if (!tls_context || !SSL_CTX_set_min_proto_version(tls_context, TLS1_2_VERSION))
    fail(1, "-T: OpenSSL does not start");
  SSL_CTX_set_verify(tls_context, SSL_VERIFY_NONE, NULL);
  SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(tls_context, 1); /* else two system calls for each record */
  SSL_CTX_set_default_read_buffer_len(tls_context, read_ahead);
}

/* Without an error: bytes, 0 at the end of the stream, or -1 and EAGAIN. Any other error ends the program. */
static ssize_t tls_result(SSL *tls, int done) {
  if (done > 0) return done;
  int cause = SSL_get_error(tls, done), number = errno;
  if (cause == SSL_ERROR_ZERO_RETURN) return 0;
  if (cause != SSL_ERROR_WANT_READ && cause != SSL_ERROR_WANT_WRITE) {
    unsigned long code = ERR_get_error();
    fail(2, "TLS: %s", code ? ERR_reason_error_string(code) : number ? strerror(number) : "the server hung up");
  }
  errno = EAGAIN;
  return -1;
}

static ssize_t net_send(int fd, void *tls, const void *data, size_t n) {
  return tls ? tls_result(tls, SSL_write(tls, data, (int)n)) : send(fd, data, n, MSG_NOSIGNAL);
}

static ssize_t net_recv(int fd, void *tls, void *data, size_t n) {
  return tls ? tls_result(tls, SSL_read(tls, data, (int)n)) : recv(fd, data, n, 0);
}

/* After a read: whether there may be more that epoll knows nothing of, or that need not be waited for. */
static int net_more(void *tls, int was_full) { return tls ? SSL_has_pending(tls) : was_full; }

/* Go on with the handshake; whether it is over. */
static int net_shake(void *tls) {
  if (!tls) return 1;
  ssize_t done = tls_result(tls, SSL_do_handshake(tls));
  if (done < 0) return 0;
  if (done == 0) fail(3, "TLS: the server hung up in the handshake");
  if (!tls_name[0]) snprintf(tls_name, sizeof tls_name, "%s %s", SSL_get_version(tls), SSL_get_cipher_name(tls));
  return 1;
}

/* For a connected socket: NULL without -T, else what the other functions want; the handshake is still to come. */
static void *net_open(int fd) {
  if (!tls_context) return NULL;
  SSL *tls = SSL_new(tls_context);
  if (!tls || !SSL_set_fd(tls, fd)) fail(2, "TLS: no memory");
  SSL_set_connect_state(tls);
  return tls;
}

static void net_close(int fd, void *tls) {
  SSL_free(tls);
  close(fd);
}

static const char *net_name(void) { return tls_name; }

#else

static void net_use_tls(size_t read_ahead) { fail(1, "-T: compiled without TLS (%zu)", read_ahead); }

static inline ssize_t net_send(int fd, void *tls, const void *data, size_t n) {
  return (void)tls, send(fd, data, n, MSG_NOSIGNAL);
}

static inline ssize_t net_recv(int fd, void *tls, void *data, size_t n) { return (void)tls, recv(fd, data, n, 0); }

static inline int net_more(void *tls, int was_full) { return (void)tls, was_full; }

static inline int net_shake(void *tls) { return (void)tls, 1; }

static inline void *net_open(int fd) { return (void)fd, NULL; }

static inline void net_close(int fd, void *tls) { (void)tls, close(fd); }

static inline const char *net_name(void) { return ""; }

#endif
