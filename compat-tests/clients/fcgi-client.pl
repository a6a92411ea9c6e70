# One request with FCGI::Client: fcgi-client.pl SOCKET SCRIPT_FILENAME SCRIPT_NAME <body
use strict;
use warnings;
use IO::Socket::UNIX;
use FCGI::Client;

my ($path, $file, $name) = @ARGV;
my $body = do { local $/; <STDIN> } // '';
my $socket = IO::Socket::UNIX->new(Peer => $path) or die "$path: $!\n";
my $client = FCGI::Client::Connection->new(sock => $socket);
my ($out, $err) = $client->request(
    {   REQUEST_METHOD  => length $body ? 'POST' : 'GET',
        CONTENT_TYPE    => 'text/plain',
        CONTENT_LENGTH  => length $body,
        QUERY_STRING    => '',
        SCRIPT_FILENAME => $file,
        SCRIPT_NAME     => $name,
        REQUEST_URI     => $name,
    },
    $body
);
print $out;
print STDERR $err if defined $err;
