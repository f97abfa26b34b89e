"""``certless connect``: a local proxy that seals all requests to a site.

It is for programs that know nothing of Certless, for instance browsers. Its code comes from a
package and not from the page, so an attacker on the network cannot change it.
"""
