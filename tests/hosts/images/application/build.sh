#!/bin/sh
# Runs while the image is built.
#   build.sh tomcat MAJOR JAVA   Debian's Tomcat and JRE, copied without links to /opt/tomcat and /opt/jre
#   build.sh confluence|jira     an installation made from them
set -eu
here=$(dirname "$0")

copy_tomcat() {
    tomcat=$1 java=$2
    export DEBIAN_FRONTEND=noninteractive
    before=$(dpkg-query --show --showformat '${Package}\n')
    libraries=
    # Debian 12 has Tomcat 9 as libraries only; the scripts of Tomcat 10 start it as well.
    if [ "$tomcat" = 9 ] && [ "$(. /etc/os-release && echo "$VERSION_ID")" = 12 ]; then
        tomcat=10 libraries=libtomcat9-java
    fi
    # shellcheck disable=SC2086
    apt-get install -y --no-install-recommends "tomcat$tomcat-common" "openjdk-$java-jre-headless" \
        libeclipse-jdt-core-java fontconfig-config $libraries

    mkdir -p /opt/tomcat/conf
    cp -rL "/usr/share/tomcat$tomcat/bin" "/usr/share/tomcat$tomcat/lib" /opt/tomcat/
    if [ -n "$libraries" ]; then
        rm /opt/tomcat/lib/*.jar
        for jar in /usr/share/java/tomcat9-*.jar; do
            [ ! -L "$jar" ] || cp -L "$jar" "/opt/tomcat/lib/$(basename "$jar" | sed 's/^tomcat9-//')"
        done
        mv /opt/tomcat/lib/juli.jar /opt/tomcat/bin/tomcat-juli.jar
    fi
    # The JSP compiler is no part of Tomcat's own lib/ in Debian.
    cp -L /usr/share/java/eclipse-jdt-core*.jar /opt/tomcat/lib/
    # The default configuration is in the package "tomcatN", which would also bring a service of its own: unpack only.
    cd /tmp
    apt-get download "tomcat$tomcat"
    dpkg-deb --extract "tomcat$tomcat"_*.deb /tmp/tomcat
    cp "/tmp/tomcat/usr/share/tomcat$tomcat/etc/"* /opt/tomcat/conf/
    rm -rf /tmp/tomcat "/tmp/tomcat$tomcat"_*.deb

    # The package is full of links to /etc; an installer's jre/ is self-contained, its cacerts too.
    jvm=/usr/lib/jvm/java-$java-openjdk-$(dpkg --print-architecture)
    find "$jvm" -xtype l -delete # links of the package that point nowhere
    cp -rL "$jvm" /opt/jre
    test -s /opt/jre/lib/security/cacerts
    /opt/jre/bin/java -version

    # The products bring their own Java: nothing of the distribution's may help them.
    after=$(dpkg-query --show --showformat '${Package}\n')
    new=$(printf '%s\n%s\n' "$before" "$after" | sort | uniq -u)
    # shellcheck disable=SC2086
    apt-get purge -y $new
    rm -rf /usr/lib/jvm /etc/ssl/certs/java
    # Libraries that the JRE needs and that the purge took with it.
    apt-get install -y --no-install-recommends libfreetype6 zlib1g
}

make_product() {
    product=$1
    case $product in
    confluence) webapp=confluence uid=2002 ;;
    jira) webapp=atlassian-jira uid=2001 ;;
    *) echo "unknown product: $product" >&2 && exit 1 ;;
    esac
    install_dir=/opt/atlassian/$product
    home=/var/atlassian/application-data/$product
    useradd --system --uid "$uid" --user-group --create-home --home-dir "/home/$product" --shell /bin/bash "$product"

    mkdir -p "$install_dir"/logs "$install_dir"/temp "$install_dir"/work "$install_dir"/webapps "$install_dir"/.install4j
    cp -r /opt/tomcat/bin /opt/tomcat/lib /opt/tomcat/conf "$install_dir/"
    cp -r /opt/jre "$install_dir/jre"
    cp "$here/bin/$product/"*.sh "$install_dir/bin/"
    chmod 0755 "$install_dir"/bin/*.sh
    cp "$here/response.varfile.$product" "$install_dir/.install4j/response.varfile"
    cp "$here/server/$product.xml" "$install_dir/conf/server.xml"

    classes=$install_dir/$webapp/WEB-INF/classes
    mkdir -p "$classes" "$install_dir/$webapp/WEB-INF/lib" "$install_dir/$webapp/rtc-lab" "$home"
    cp "$here"/webapp/*.jsp "$install_dir/$webapp/rtc-lab/"
    cp "$here/webapp/index.html" "$install_dir/$webapp/"
    cp "$here/webapp/web.xml" "$install_dir/$webapp/WEB-INF/"
    . /etc/os-release
    . "$here/versions.sh"
    version=$(product_version "$product" "$VERSION_ID")
    case $product in
    confluence)
        mkdir -p "$install_dir/synchrony-proxy/WEB-INF"
        cp "$here/webapp/web.xml" "$install_dir/synchrony-proxy/WEB-INF/"
        printf '# The home directory, as the installer wrote it.\n\nconfluence.home = %s\n' "$home" \
            >"$classes/confluence-init.properties"
        write_pom com.atlassian.confluence confluence-webapp
        ;;
    jira)
        printf 'jira.home =\njira.title=Jira of the lab\n' >"$classes/jira-application.properties"
        write_pom com.atlassian.jira jira-webapp-dist
        ;;
    esac

    # As the installer leaves it: code belongs to root, what the application writes to its user.
    chown -R root:root "$install_dir"
    for part in conf logs temp work; do
        chown -R "$product:$product" "$install_dir/$part"
        chmod 0700 "$install_dir/$part"
    done
    chown -R "$product:$product" "$home"
}

write_pom() { # group, artifact: where the real products show their version
    pom=$install_dir/$webapp/META-INF/maven/$1/$2
    mkdir -p "$pom"
    printf '#Created by Apache Maven\ngroupId=%s\nartifactId=%s\nversion=%s\n' "$1" "$2" "$version" >"$pom/pom.properties"
}

case $1 in
tomcat) copy_tomcat "$2" "$3" ;;
*) make_product "$1" ;;
esac
