"""What every sign-in that leads to an account of the site has in common."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from jupyterhub.auth import Authenticator
from simdeck_common.problems import Problem
from tornado.web import HTTPError
from traitlets import Any as AnyTrait
from traitlets import Bool

from simdeck_hub.accounts import AccountRules, Person, check_account, groups_of, person_of, unix_account


class Refusal(HTTPError):  # type: ignore[misc] # noqa: N818
    """A refusal whose sentences the person reads on the sign-in page."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.sentences = f"{problem.detail} {problem.remedy}"
        super().__init__(problem.status, self.sentences)


class AccountsAuthenticator(Authenticator):  # type: ignore[misc]
    """Finds the account of whoever signed in, by the site file's rules; refuses in a sentence where there is none."""

    rules = AnyTrait(AccountRules(), help="The site file's account rules; `configure_auth` sets them.").tag(config=True)
    unix_accounts = Bool(False, help="Whether hub users are Unix accounts of this machine.").tag(config=True)

    async def person(self, claims: Mapping[str, Any]) -> Person:
        """Return who the person with these claims is here.

        Raises
        ------
        Refusal
            There is no account for them, or it may not sign in.
        """
        lookup = unix_account if self.unix_accounts else None
        try:
            return await asyncio.to_thread(person_of, claims, self.rules, lookup)
        except Problem as problem:
            raise self.refusal(problem) from None

    def refusal(self, problem: Problem) -> Refusal:
        """Log a refusal and return what to raise."""
        self.log.warning("Sign-in refused (%s): %s", problem.code, problem.detail)
        return Refusal(problem)

    def model(self, person: Person) -> dict[str, Any]:
        """Return what JupyterHub wants to know of who signed in."""
        return {"name": person.user, "admin": person.user in self.admin_users, "groups": list(person.groups)}

    async def refresh_user(self, user: Any, handler: Any = None, **_: Any) -> bool | dict[str, Any]:
        """Look at the site file's rules again while a session lasts.

        Nothing of the provider is kept and no directory is asked: one that is away for a while must end no session.
        Groups that come from there are those of the last sign-in.
        """
        try:
            check_account(user.name, None, self.rules)
        except Problem as problem:
            self.log.warning("The session of %s ends (%s): %s", user.name, problem.code, problem.detail)
            return False
        refreshed: dict[str, Any] = {"name": user.name, "admin": user.name in self.admin_users}
        if self.rules.groups_claim is None and not self.rules.unix_groups:
            refreshed["groups"] = list(groups_of(user.name, None, {}, self.rules))
        else:
            refreshed["groups"] = None
        return refreshed
