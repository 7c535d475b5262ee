# START INSTALLER MAGIC ! DO NOT EDIT !
JIRA_USER="jira" # user created by installer
# END INSTALLER MAGIC ! DO NOT EDIT !

export JIRA_USER
