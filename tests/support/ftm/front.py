"""nginx on loopback in front of a FastCGI address, in a temporary directory of its own."""

import os
import pwd

from .http import Browser
from .program import Program
from .server import POOL_USER

NGINX = next((p for p in (os.environ.get('FTM_NGINX'), '/usr/sbin/nginx', '/usr/local/sbin/nginx') if p and os.access(p, os.X_OK)), 'nginx')

PARAMS = """fastcgi_param  SCRIPT_FILENAME    $document_root$fastcgi_script_name;
fastcgi_param  QUERY_STRING       $query_string;
fastcgi_param  REQUEST_METHOD     $request_method;
fastcgi_param  CONTENT_TYPE       $content_type;
fastcgi_param  CONTENT_LENGTH     $content_length;
fastcgi_param  SCRIPT_NAME        $fastcgi_script_name;
fastcgi_param  REQUEST_URI        $request_uri;
fastcgi_param  DOCUMENT_URI       $document_uri;
fastcgi_param  DOCUMENT_ROOT      $document_root;
fastcgi_param  SERVER_PROTOCOL    $server_protocol;
fastcgi_param  REQUEST_SCHEME     $scheme;
fastcgi_param  HTTPS              $https if_not_empty;
fastcgi_param  GATEWAY_INTERFACE  CGI/1.1;
fastcgi_param  SERVER_SOFTWARE    nginx/$nginx_version;
fastcgi_param  REMOTE_ADDR        $remote_addr;
fastcgi_param  REMOTE_PORT        $remote_port;
fastcgi_param  SERVER_ADDR        $server_addr;
fastcgi_param  SERVER_PORT        $server_port;
fastcgi_param  SERVER_NAME        $server_name;
fastcgi_param  REDIRECT_STATUS    200;
"""


class Front(Program):
    """`address`: a Unix path or (host, port).  `keep`: fastcgi_keep_conn on with a pool of kept upstream connections."""

    title = 'nginx'

    def __init__(self, address, docroot, keep=False, locations='', directives='', try_files='$uri $uri/ /index.php?$args'):
        self.address, self.docroot, self.keep = address, docroot, keep
        self.locations, self.directives, self.try_files = locations, directives, try_files

    def conf(self):
        target = f'unix:{self.address}' if isinstance(self.address, str) else '%s:%d' % self.address
        user = f'user {POOL_USER};' if os.geteuid() == 0 else ''
        return f"""{user}
daemon off;
worker_processes 1;
pid {self.root}/nginx.pid;
error_log {self.root}/error.log notice;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  types {{ text/html html; text/css css; application/javascript js; image/png png; image/jpeg jpg jpeg; }}
  client_max_body_size 0;
  client_body_temp_path {self.root}/body;
  fastcgi_temp_path {self.root}/fastcgi;
  proxy_temp_path {self.root}/proxy;
  uwsgi_temp_path {self.root}/uwsgi;
  scgi_temp_path {self.root}/scgi;
  fastcgi_read_timeout 60s;
  upstream php {{ server {target}; {'keepalive 16;' if self.keep else ''} }}
  server {{
    listen 127.0.0.1:{self.port};
    server_name localhost;
    root {self.docroot};
    index index.php index.html;
    {self.directives}
    {self.locations}
    location / {{ try_files {self.try_files}; }}
    location ~ \\.php$ {{
      {PARAMS}
      fastcgi_pass php;
      fastcgi_keep_conn {'on' if self.keep else 'off'};
      fastcgi_next_upstream off;
    }}
  }}
}}
"""

    def arguments(self):
        path = os.path.join(self.root, 'nginx.conf')
        with open(path, 'w') as f:
            f.write(self.conf())
        if os.geteuid() == 0:
            owner = pwd.getpwnam(POOL_USER)
            for name in ('body', 'fastcgi', 'proxy', 'uwsgi', 'scgi'):
                os.makedirs(os.path.join(self.root, name), exist_ok=True)
                os.chown(os.path.join(self.root, name), owner.pw_uid, owner.pw_gid)
        return [NGINX, '-p', self.root, '-c', path, '-e', os.path.join(self.root, 'error.log')]

    def browser(self, keep=False, **kwargs):
        return Browser('127.0.0.1', self.port, keep=keep, **kwargs)
