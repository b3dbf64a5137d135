/* SPDX-License-Identifier: ISC */
/*
 * sd_notify(3) without libsystemd: one datagram to $NOTIFY_SOCKET. Where there is
 * none, nothing happens.
 */
#ifndef REEVE_DAEMON_OPERATE_SYSTEMD_H
#define REEVE_DAEMON_OPERATE_SYSTEMD_H

/* "READY=1", "RELOADING=1\nMONOTONIC_USEC=...", "STOPPING=1", "STATUS=..." */
void systemd_notify(const char *state);
/* For RELOADING=1, which systemd wants with the time. */
void systemd_notify_reloading(void);

#endif
