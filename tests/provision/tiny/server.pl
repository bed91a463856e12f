#!/usr/bin/perl
# A tiny environment for tests: up in milliseconds, in a few megabytes.
#
# Answers every GET below its base path with 200, and every other with 404. Opens a
# WebSocket to whoever asks, takes what comes on it, and says nothing.
# Listens where TMPENV_IP and TMPENV_PORT say. Switches, for tests:
#   TINY_EXIT=3      print a message and end with this code
#   TINY_DEAF=1      accept connections, never answer
#   TINY_STUBBORN=1  take no notice of TERM
#   TINY_EAT=64      take so many megabytes of memory first
use strict;
use warnings;
use Socket;

$| = 1;
my $ip   = $ENV{TMPENV_IP}        || '0.0.0.0';
my $port = $ENV{TMPENV_PORT}      || 8888;
my $base = $ENV{TMPENV_BASE_PATH} || '/';

if (defined $ENV{TINY_EXIT}) {
    print "tiny: asked to end\n";
    exit $ENV{TINY_EXIT};
}
my $eaten = 'x' x (($ENV{TINY_EAT} || 0) << 20);
$SIG{TERM} = 'IGNORE' if $ENV{TINY_STUBBORN};
$SIG{PIPE} = 'IGNORE';

socket(my $listener, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
setsockopt($listener, SOL_SOCKET, SO_REUSEADDR, 1);
bind($listener, sockaddr_in($port, inet_aton($ip))) or die "bind $ip:$port: $!";
listen($listener, 128) or die "listen: $!";
print "tiny: listening on $ip:$port at $base\n";

my (%sockets, %seen, %tunnels);
while (1) {
    my $wanted = '';
    vec($wanted, fileno($_), 1) = 1 for $listener, values %sockets;
    select(my $ready = $wanted, undef, undef, undef) > 0 or next;
    if (vec($ready, fileno($listener), 1) && accept(my $client, $listener)) {
        $sockets{fileno $client} = $client;
        $seen{fileno $client} = '';
    }
    for my $number (keys %sockets) {
        next unless vec($ready, $number, 1);
        my $count = sysread($sockets{$number}, $seen{$number}, 65536, length $seen{$number});
        if (!$count) {
            delete $seen{$number};
            delete $tunnels{$number};
            close delete $sockets{$number};
        }
        elsif ($tunnels{$number}) {
            $seen{$number} = '';
        }
        elsif ($seen{$number} =~ /\r\nUpgrade: *websocket\r\n/i && $seen{$number} =~ /\r\n\r\n/) {
            $tunnels{$number} = 1;
            $seen{$number} = '';
            syswrite $sockets{$number}, join "\r\n", 'HTTP/1.1 101 Switching Protocols',
                'Connection: Upgrade', 'Upgrade: websocket', '', '';
        }
        elsif (index($seen{$number}, "\r\n\r\n") >= 0 && !$ENV{TINY_DEAF}) {
            my ($method, $path) = split ' ', delete $seen{$number};
            my $client = delete $sockets{$number};
            syswrite $client, answer($path // '');
            close $client;
        }
    }
}

sub answer {
    my ($path) = @_;
    my $status = index($path, $base) == 0 ? '200 OK' : '404 Not Found';
    my $body = $path =~ m{/api/kernels\b} ? '[]' : '{"version": "tiny"}';
    return join "\r\n", "HTTP/1.1 $status", 'Content-Type: application/json',
        'Content-Length: ' . length $body, 'Connection: close', '', $body;
}
