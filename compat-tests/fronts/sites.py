"""How the sites of long.py are set up: each location or block is one way in which a site treats a part of its paths."""

from ftm.front import PARAMS


def nginx(docroot, keeps):
    keep = f'fastcgi_keep_conn {"on" if keeps else "off"};'
    php = f'{PARAMS} fastcgi_param PATH_INFO ""; fastcgi_pass php; {keep}'
    return f"""location /pretty/ {{ try_files $uri /r/dump.php?$args; }}
location = /program {{ {php} }}
location ~ ^/page\\.inc {{ {php} }}
location /internal/ {{ internal; }}
location ^~ /https/ {{ {PARAMS} fastcgi_param HTTPS on; fastcgi_param SERVER_PORT 443; fastcgi_param REQUEST_SCHEME https; fastcgi_pass php; {keep} }}
location ^~ /value/ {{ {PARAMS} fastcgi_param OWN "a value"; fastcgi_param EMPTY ""; fastcgi_param PATH /front; fastcgi_pass php; {keep} }}
location ^~ /private/ {{ auth_basic who; auth_basic_user_file {docroot}/private/users; {php} fastcgi_param REMOTE_USER $remote_user; fastcgi_param AUTH_TYPE Basic; }}
location ^~ /error/ {{ fastcgi_intercept_errors on; error_page 404 = /error/page.php; error_page 403 /error/page.php; error_page 500 503 /error/500.html; {php} }}
location = /error/500.html {{ }}
"""


def apache(docroot, target):
    """`target`: where SetHandler finds php, as mod_proxy writes it."""
    return f"""AllowEncodedSlashes NoDecode
<Directory {docroot}/pretty>
  RewriteEngine on
  RewriteCond %{{REQUEST_FILENAME}} !-f
  RewriteRule ^ /r/dump.php [L]
</Directory>
<Location /https>
  SetEnv HTTPS on
  SetEnv SERVER_PORT 443
</Location>
<Location /value>
  SetEnv OWN "a value"
  SetEnv EMPTY ""
  SetEnv PATH /front
</Location>
<Location /private>
  AuthType Basic
  AuthName who
  AuthUserFile {docroot}/private/users
  Require valid-user
</Location>
<Location /error>
  ProxyErrorOverride On
  ErrorDocument 404 /page.php?q=missing
  ErrorDocument 403 "forbidden by the front"
  ErrorDocument 500 /error/500.html
</Location>
<FilesMatch "^(program|page\\.inc)$">
  SetHandler "proxy:{target}"
</FilesMatch>
"""
