# Versions that the installations show, near to what ran on such a Tomcat and Java.
product_version() { # product, Debian release
    case $1-$2 in
    confluence-11) echo 7.19.17 ;;
    confluence-12) echo 9.2.4 ;;
    confluence-*) echo 10.2.7 ;;
    jira-11) echo 9.4.10 ;;
    jira-12) echo 10.3.5 ;;
    jira-*) echo 11.3.1 ;;
    esac
}
