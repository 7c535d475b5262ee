#!/usr/bin/python3
# As the entry points of the official images: render server.xml from the environment, then start Tomcat as its user.
import os
import re

TEMPLATE = "/opt/atlassian/etc/server.xml.j2"
TARGET = "/opt/atlassian/confluence/conf/server.xml"
values = {name.lower(): value for name, value in os.environ.items()}
with open(TEMPLATE) as file:
    text = file.read()
pattern = r"\{\{ (\w+) \| default\('([^']*)'\) \}\}"
if os.path.lexists(TARGET):
    os.unlink(TARGET)
with open(TARGET, "w") as file:
    file.write(re.sub(pattern, lambda match: values.get(match[1], match[2]), text))
os.setgid(2002)
os.setuid(2002)
os.environ["JAVA_HOME"] = "/opt/java/openjdk"
os.execv("/opt/atlassian/confluence/bin/start-confluence.sh", ["start-confluence.sh", "-fg"])
